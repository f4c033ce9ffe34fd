//! `tools` and `tool_choice`.
//!
//! Only functions can be said to every vendor. Built-in tools (web search, code interpreter, MCP …) run at
//! OpenAI, so they are refused by their place in the list.

use serde_json::Value;

use crate::call::{Tool, ToolChoice};
use crate::error::InvalidCall;

use super::members::{Members, kind_of};

/// Reads both members; `allowed_tools` shortens the list.
pub(super) fn read_tools(body: &Members<'_, '_>) -> Result<(Vec<Tool>, Option<ToolChoice>), InvalidCall> {
    let mut tools = Vec::new();
    for (index, tool) in body.list("tools")?.into_iter().flatten().enumerate() {
        tools.push(read_tool(tool, &format!("tools[{index}]"))?);
    }
    let choice = read_choice(body, &mut tools)?;
    Ok((tools, choice))
}

fn read_tool(tool: &Value, path: &str) -> Result<Tool, InvalidCall> {
    let tool = Members::of(tool, path)?;
    let kind = tool.required_text("type")?;
    if kind != "function" {
        let what = format!(
            "is {kind}: built-in tools need a vendor with a native Responses API; \
             only function tools can be used with this one"
        );
        return Err(tool.fault("type", &what));
    }
    Ok(Tool::Function {
        name: tool.required_text("name")?.to_owned(),
        description: tool.text("description")?.map(str::to_owned),
        parameters: tool.object("parameters")?.cloned().map(Value::Object),
        strict: tool.flag("strict")?,
        cache_control: None,
    })
}

fn read_choice(body: &Members<'_, '_>, tools: &mut Vec<Tool>) -> Result<Option<ToolChoice>, InvalidCall> {
    let Some(choice) = body.get("tool_choice") else { return Ok(None) };
    if let Value::String(mode) = choice {
        return read_mode(mode, "tool_choice").map(Some);
    }
    if !choice.is_object() {
        let what = format!("must be a string or an object, not {}", kind_of(choice));
        return Err(body.fault("tool_choice", &what));
    }
    let choice = Members::of(choice, "tool_choice")?;
    match choice.required_text("type")? {
        "function" => Ok(Some(ToolChoice::Named(choice.required_text("name")?.to_owned()))),
        "allowed_tools" => {
            keep_allowed(&choice, tools)?;
            read_mode(choice.text("mode")?.unwrap_or("auto"), "tool_choice.mode").map(Some)
        }
        other => {
            let what = format!("must be function or allowed_tools with this vendor, not {other}");
            Err(choice.fault("type", &what))
        }
    }
}

fn read_mode(mode: &str, path: &str) -> Result<ToolChoice, InvalidCall> {
    match mode {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        other => Err(InvalidCall::at(path, format!("{path} must be auto, none or required, not {other}"))),
    }
}

/// Other wires have no list of allowed tools; a shorter list of tools forbids the same calls.
fn keep_allowed(choice: &Members<'_, '_>, tools: &mut Vec<Tool>) -> Result<(), InvalidCall> {
    let mut allowed = Vec::new();
    for (index, tool) in choice.list("tools")?.into_iter().flatten().enumerate() {
        let path = format!("tool_choice.tools[{index}]");
        allowed.push(Members::of(tool, &path)?.required_text("name")?);
    }
    tools.retain(|tool| match tool {
        Tool::Function { name, .. } => allowed.contains(&name.as_str()),
        Tool::Vendor(_) => false,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: Value) -> Result<(Vec<Tool>, Option<ToolChoice>), InvalidCall> {
        read_tools(&Members::of(&body, "").unwrap())
    }

    #[test]
    fn the_flat_function_form_is_read() {
        let (tools, choice) = read(json!({
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": null, "strict": false}],
            "tool_choice": {"type": "function", "name": "f"},
        }))
        .unwrap();
        let wanted = Tool::Function {
            name: "f".into(),
            description: Some("d".into()),
            parameters: None,
            strict: Some(false),
            cache_control: None,
        };
        assert_eq!(tools, [wanted]);
        assert_eq!(choice, Some(ToolChoice::Named("f".into())));
    }

    #[test]
    fn a_built_in_tool_is_refused_by_its_place() {
        let error =
            read(json!({"tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]})).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("tools[1].type"));
        assert!(error.message.contains("web_search"), "{}", error.message);
    }

    #[test]
    fn allowed_tools_shorten_the_list() {
        let (tools, choice) = read(json!({
            "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
            "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]},
        }))
        .unwrap();
        assert_eq!(tools.len(), 1);
        assert_eq!(choice, Some(ToolChoice::Required));
    }

    #[test]
    fn an_unknown_choice_is_refused() {
        assert!(read(json!({"tool_choice": "perhaps"})).is_err());
        assert!(read(json!({"tool_choice": 3})).is_err());
        assert!(read(json!({"tool_choice": {"type": "mcp"}})).is_err());
    }
}
