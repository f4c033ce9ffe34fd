//! Tools and tool choice of the Messages wire, read and written.

use serde_json::{Map, Value, json};

use super::content_read::{Path, present, required_str};
use super::model::Model;
use crate::call::{ChatCall, Tool, ToolChoice};
use crate::error::InvalidCall;

/// Reads `tools` and `tool_choice`.
pub(super) fn read(body: &Map<String, Value>, call: &mut ChatCall) -> Result<(), InvalidCall> {
    let path = Path::Root("tools");
    match present(body, "tools") {
        None => {}
        Some(Value::Array(list)) => {
            call.tools.reserve(list.len());
            for (at, value) in list.iter().enumerate() {
                call.tools.push(read_tool(value, &path.index(at))?);
            }
        }
        Some(_) => return Err(path.invalid("`tools` must be a list of tools")),
    }
    let path = Path::Root("tool_choice");
    let choice = match present(body, "tool_choice") {
        None => return Ok(()),
        Some(Value::Object(choice)) => choice,
        Some(_) => return Err(path.invalid("`tool_choice` must be an object")),
    };
    call.tool_choice = Some(match required_str(choice, "type", &path)? {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(required_str(choice, "name", &path)?.to_owned()),
        other => {
            let message = format!("unknown choice `{other}`; accepted are `auto`, `any`, `tool` and `none`");
            return Err(path.member("type").invalid(message));
        }
    });
    let one_at_a_time = present(choice, "disable_parallel_tool_use").and_then(Value::as_bool);
    call.parallel_tool_calls = one_at_a_time.map(|disabled| !disabled);
    Ok(())
}

fn read_tool(value: &Value, path: &Path<'_>) -> Result<Tool, InvalidCall> {
    let Some(tool) = value.as_object() else { return Err(path.invalid("a tool must be an object")) };
    match present(tool, "type").and_then(Value::as_str) {
        None | Some("custom") => Ok(Tool::Function {
            name: required_str(tool, "name", path)?.to_owned(),
            description: present(tool, "description").and_then(Value::as_str).map(str::to_owned),
            parameters: present(tool, "input_schema").cloned(),
            strict: present(tool, "strict").and_then(Value::as_bool),
            cache_control: present(tool, "cache_control").cloned(),
        }),
        Some(_) => Ok(Tool::Vendor(value.clone())),
    }
}

/// Writes `tools` and `tool_choice`.
pub(super) fn write(call: &ChatCall, model: Model, body: &mut Map<String, Value>) -> Result<(), InvalidCall> {
    // A choice without tools is an error to the vendor; to OpenAI's clients it means nothing.
    if call.tools.is_empty() {
        return Ok(());
    }
    let tools = call.tools.iter().enumerate().map(|(at, tool)| write_tool(at, tool, model));
    body.insert("tools".to_owned(), Value::Array(tools.collect::<Result<_, _>>()?));

    let one_at_a_time = call.parallel_tool_calls == Some(false);
    let mut choice = match &call.tool_choice {
        None if !one_at_a_time => return Ok(()),
        None | Some(ToolChoice::Auto) => json!({"type": "auto"}),
        Some(ToolChoice::Required) => json!({"type": "any"}),
        Some(ToolChoice::None) => json!({"type": "none"}),
        Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": name}),
    };
    if one_at_a_time && call.tool_choice != Some(ToolChoice::None) {
        choice["disable_parallel_tool_use"] = Value::Bool(true);
    }
    body.insert("tool_choice".to_owned(), choice);
    Ok(())
}

fn write_tool(at: usize, tool: &Tool, model: Model) -> Result<Value, InvalidCall> {
    match tool {
        Tool::Function { name, description, parameters, strict, cache_control } => {
            let mut out = Map::new();
            out.insert("name".to_owned(), name.as_str().into());
            if let Some(description) = description {
                out.insert("description".to_owned(), description.as_str().into());
            }
            out.insert("input_schema".to_owned(), input_schema(parameters.as_ref()));
            // Models before structured outputs refuse the word; `false` is the vendor's default.
            if *strict == Some(true) && model.has_structured_outputs() {
                out.insert("strict".to_owned(), Value::Bool(true));
            }
            if let Some(cache_control) = cache_control {
                out.insert("cache_control".to_owned(), cache_control.clone());
            }
            Ok(Value::Object(out))
        }
        Tool::Vendor(value) => vendor_tool(value).ok_or_else(|| {
            let kind = value.get("type").and_then(Value::as_str).unwrap_or("?");
            let message = format!(
                "Anthropic has no tool of type `{kind}`; its own have types like `web_search_20250305`"
            );
            InvalidCall::at(format!("tools[{at}].type"), message)
        }),
    }
}

/// The vendor insists on a schema of an object; everything else in it stays as sent.
fn input_schema(parameters: Option<&Value>) -> Value {
    match parameters {
        Some(Value::Object(schema)) if schema.contains_key("type") => Value::Object(schema.clone()),
        Some(Value::Object(schema)) if !schema.is_empty() => {
            let mut typed = Map::new();
            typed.insert("type".to_owned(), "object".into());
            typed.extend(schema.clone());
            Value::Object(typed)
        }
        _ => json!({"type": "object", "properties": {}}),
    }
}

/// Returns a vendor tool in Anthropic's form: as sent when it has one of Anthropic's dated types, or unfolded from
/// the form OpenAI-style clients of Portkey use, `{"type": "computer", "computer": {"name": "computer_20250124"}}`,
/// where the inner name is the type.
fn vendor_tool(value: &Value) -> Option<Value> {
    let tool = value.as_object()?;
    let kind = tool.get("type")?.as_str()?;
    if let Some(options) = tool.get(kind).and_then(Value::as_object) {
        let dated = options.get("name")?.as_str().filter(|name| is_anthropic_type(name))?;
        let mut out = Map::new();
        out.insert("type".to_owned(), dated.into());
        out.insert("name".to_owned(), kind.into());
        let rest = options.iter().filter(|(key, _)| key.as_str() != "name");
        out.extend(rest.map(|(key, value)| (key.clone(), value.clone())));
        if let Some(cache_control) = present(tool, "cache_control") {
            out.insert("cache_control".to_owned(), cache_control.clone());
        }
        return Some(Value::Object(out));
    }
    is_anthropic_type(kind).then(|| value.clone())
}

/// Anthropic's tool types end in the date of their version.
fn is_anthropic_type(kind: &str) -> bool {
    let date = kind.rsplit_once('_').map_or("", |(_, date)| date);
    kind == "mcp_toolset" || (date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(call: &ChatCall) -> Value {
        let mut body = Map::new();
        write(call, Model::parse("claude-sonnet-4-5"), &mut body).unwrap();
        Value::Object(body)
    }

    fn function(parameters: Option<Value>) -> Tool {
        let (description, strict, cache_control) = (None, None, None);
        Tool::Function { name: "f".into(), description, parameters, strict, cache_control }
    }

    #[test]
    fn a_function_without_parameters_gets_an_empty_schema() {
        let call = ChatCall { tools: vec![function(None)], ..ChatCall::default() };
        let schema = json!({"type": "object", "properties": {}});
        assert_eq!(written(&call), json!({"tools": [{"name": "f", "input_schema": schema}]}));
    }

    #[test]
    fn schemas_stay_as_sent() {
        let schema =
            json!({"type": "object", "$defs": {"x": {"type": "string"}}, "additionalProperties": false});
        let call = ChatCall { tools: vec![function(Some(schema.clone()))], ..ChatCall::default() };
        assert_eq!(written(&call)["tools"][0]["input_schema"], schema);
    }

    #[test]
    fn one_call_at_a_time_needs_a_choice() {
        let mut call =
            ChatCall { tools: vec![function(None)], parallel_tool_calls: Some(false), ..ChatCall::default() };
        assert_eq!(written(&call)["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
        call.tool_choice = Some(ToolChoice::None);
        assert_eq!(written(&call)["tool_choice"], json!({"type": "none"}));
        call.tools.clear();
        assert_eq!(written(&call), json!({}));
    }

    #[test]
    fn vendor_tools_are_passed_unfolded_or_refused() {
        let dated = json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 2});
        assert_eq!(vendor_tool(&dated), Some(dated.clone()));
        let folded =
            json!({"type": "computer", "computer": {"name": "computer_20250124", "display_width_px": 9}});
        assert_eq!(
            vendor_tool(&folded),
            Some(json!({"type": "computer_20250124", "name": "computer", "display_width_px": 9}))
        );
        let foreign = Tool::Vendor(json!({"type": "web_search_preview"}));
        let error = write_tool(3, &foreign, Model::parse("claude-opus-5")).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("tools[3].type"));
    }
}
