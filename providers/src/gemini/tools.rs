//! Functions, the vendor's own tools, and the choice among them.

use serde_json::{Map, Value, json};

use super::schema;
use crate::call::{ChatCall, Tool, ToolChoice};
use crate::error::InvalidCall;

/// Google's own tools under both spellings that its API reads.
const OWN: &[(&str, &str)] = &[
    ("googleSearch", "google_search"),
    ("googleSearchRetrieval", "google_search_retrieval"),
    ("googleMaps", "google_maps"),
    ("codeExecution", "code_execution"),
    ("urlContext", "url_context"),
    ("fileSearch", "file_search"),
    ("computerUse", "computer_use"),
];

/// Writes `tools` and `toolConfig`.
pub(super) fn write(call: &ChatCall, body: &mut Map<String, Value>) -> Result<(), InvalidCall> {
    let mut functions = Vec::new();
    let mut own = Vec::new();
    for (at, tool) in call.tools.iter().enumerate() {
        match tool {
            Tool::Function { name, parameters, .. }
                if matches!(name.as_str(), "googleSearch" | "google_search") =>
            {
                own.push(json!({"googleSearch": search_options(parameters.as_ref())}));
            }
            Tool::Function { name, description, parameters, .. } => {
                functions.push(declaration(name, description.as_deref(), parameters.as_ref()));
            }
            Tool::Vendor(value) => own.push(own_tool(at, value)?),
        }
    }
    // A calling mode without functions is an error at Google.
    if !functions.is_empty()
        && let Some(choice) = &call.tool_choice
    {
        body.insert("toolConfig".into(), json!({"functionCallingConfig": calling(choice)}));
    }
    if !functions.is_empty() {
        own.insert(0, json!({"functionDeclarations": functions}));
    }
    if !own.is_empty() {
        body.insert("tools".into(), Value::Array(own));
    }
    Ok(())
}

fn declaration(name: &str, description: Option<&str>, parameters: Option<&Value>) -> Value {
    let mut function = Map::new();
    function.insert("name".into(), name.into());
    if let Some(description) = description.filter(|text| !text.is_empty()) {
        function.insert("description".into(), description.into());
    }
    if let Some(parameters) = parameters {
        let cleaned = schema::clean(parameters);
        let has_properties =
            cleaned.get("properties").and_then(Value::as_object).is_some_and(|map| !map.is_empty());
        // Google says "no parameters" by leaving them out, and refuses objects without properties here.
        if has_properties || cleaned.get("anyOf").is_some() {
            function.insert("parameters".into(), cleaned);
        }
    }
    Value::Object(function)
}

/// Portkey's users ask for grounding by a function of that name, with the filter among its parameters.
fn search_options(parameters: Option<&Value>) -> Value {
    let filter =
        parameters.and_then(|value| value.get("timeRangeFilter")).filter(|filter| filter.is_object());
    filter.map_or_else(|| json!({}), |filter| json!({"timeRangeFilter": filter}))
}

fn own_tool(at: usize, tool: &Value) -> Result<Value, InvalidCall> {
    for (camel, snake) in OWN {
        if let Some(options) = tool.get(camel).or_else(|| tool.get(snake)) {
            return Ok(json!({ *camel: options }));
        }
    }
    let kind = tool.get("type").and_then(Value::as_str).unwrap_or_default();
    if let Some((camel, _)) = OWN.iter().find(|(camel, snake)| kind == *camel || kind == *snake) {
        return Ok(json!({ *camel: {} }));
    }
    // OpenAI's and Anthropic's names carry dates and suffixes: `web_search_preview`, `web_search_20250305`.
    if kind.starts_with("web_search") {
        return Ok(json!({"googleSearch": {}}));
    }
    Err(InvalidCall::at(
        format!("tools[{at}]"),
        format!(
            "tool type '{kind}' has no counterpart at Gemini; use functions, web_search or one of Google's tools"
        ),
    ))
}

fn calling(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!({"mode": "AUTO"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, parameters: Option<Value>) -> Tool {
        Tool::Function { name: name.into(), description: None, parameters, strict: None, cache_control: None }
    }

    fn written(tools: Vec<Tool>, tool_choice: Option<ToolChoice>) -> Value {
        let mut body = Map::new();
        write(&ChatCall { tools, tool_choice, ..ChatCall::default() }, &mut body).unwrap();
        Value::Object(body)
    }

    #[test]
    fn choices_become_modes() {
        for (choice, expected) in [
            (ToolChoice::Auto, json!({"mode": "AUTO"})),
            (ToolChoice::Required, json!({"mode": "ANY"})),
            (ToolChoice::None, json!({"mode": "NONE"})),
            (ToolChoice::Named("f".into()), json!({"mode": "ANY", "allowedFunctionNames": ["f"]})),
        ] {
            let body = written(vec![function("f", None)], Some(choice));
            assert_eq!(body["toolConfig"]["functionCallingConfig"], expected);
        }
        assert_eq!(written(vec![], Some(ToolChoice::Auto)), json!({}));
    }

    #[test]
    fn a_function_without_parameters_declares_none() {
        let empty = json!({"type": "object", "properties": {}});
        let body = written(vec![function("a", Some(empty)), function("b", None)], None);
        assert_eq!(body, json!({"tools": [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}]}));
    }

    #[test]
    fn search_is_googles_tool() {
        let body = written(vec![function("google_search", None), function("f", None)], None);
        assert_eq!(body, json!({"tools": [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]}));
        for tool in [
            json!({"googleSearch": {}}),
            json!({"google_search": {}}),
            json!({"type": "google_search"}),
            json!({"type": "web_search_preview"}),
            json!({"type": "web_search_20250305", "name": "web_search"}),
        ] {
            assert_eq!(written(vec![Tool::Vendor(tool)], None), json!({"tools": [{"googleSearch": {}}]}));
        }
    }

    #[test]
    fn a_foreign_tool_is_refused() {
        let call =
            ChatCall { tools: vec![Tool::Vendor(json!({"type": "bash_20250124"}))], ..ChatCall::default() };
        assert_eq!(write(&call, &mut Map::new()).unwrap_err().param.as_deref(), Some("tools[0]"));
    }
}
