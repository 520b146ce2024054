//! What is read from files and standard input.

use crate::failure::Failure;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::Value;
use std::io::Read as _;

/// The text of a file; `-` is standard input.
pub(crate) fn read(path: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == "-" { std::io::stdin().read_to_string(&mut text).map(|_| ()) } else { std::fs::read_to_string(path).map(|t| text = t) };
    read.map_err(|e| Failure::usage(format!("{} cannot be read: {e}", shown(path))))?;
    Ok(text)
}

fn shown(path: &str) -> &str {
    if path == "-" { "standard input" } else { path }
}

/// A message of the API from its canonical JSON, or the same as YAML; and the text's own form, which also shows what is false, 0 or empty.
pub(crate) fn message(descriptor: &MessageDescriptor, path: &str) -> Result<(DynamicMessage, Value), Failure> {
    let wrong = |why: String| Failure::usage(format!("{} is not a {}: {why}", shown(path), descriptor.name()));
    let text = read(path)?;
    // Every JSON text is YAML too, but JSON's own parser says better what is wrong with it.
    let body: Value = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?
    } else {
        serde_saphyr::from_str(&text).map_err(|e| wrong(e.to_string()))?
    };
    let message = DynamicMessage::deserialize(descriptor.clone(), &body).map_err(|e| wrong(e.to_string()))?;
    Ok((message, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kinds;

    fn parse(text: &str) -> Result<Value, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("n");
        std::fs::write(&file, text).unwrap();
        let kinds = Kinds::new();
        message(&kinds.find("network").unwrap().message, file.to_str().unwrap()).map(|(m, _)| serde_json::to_value(&m).unwrap()).map_err(|f| f.to_string())
    }
    #[test]
    fn json_and_yaml_give_the_same_message() {
        let json = r#"{"cidrs": ["10.0.0.0/16"], "internetAccess": true, "labels": {"a": "1"}}"#;
        let yaml = "# a network\ncidrs: [10.0.0.0/16]\ninternet_access: true\nlabels:\n  a: \"1\"\n";
        assert_eq!(parse(json), parse(yaml));
        assert_eq!(parse(json).unwrap()["internetAccess"], true);
    }
    #[test]
    fn an_unknown_field_is_named() {
        let why = parse("cidr: [10.0.0.0/16]\n").unwrap_err();
        assert!(why.contains("cidr") && why.contains("Network"), "{why}");
        assert!(parse("{\"cidrs\": ").unwrap_err().contains("line 1"));
    }
}
