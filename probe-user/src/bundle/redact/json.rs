//! A JSON report, of which there is no recording: names go by what each field is, then out of its sentences.
use serde_json::Value;

use super::record::test;
use crate::{bundle::names::Pseudonyms, report::model::Report};

/// The report with pseudonyms in place of names.
///
/// # Errors
/// None in practice: it is a report before and afterwards.
pub fn report(report: &Report, names: &mut Pseudonyms) -> serde_json::Result<Report> {
    let mut value = serde_json::to_value(report)?;
    // Twice: a sentence can come before the field with the name that it says.
    fields(&mut value, None, names);
    sentences(&mut value, names);
    serde_json::from_value(value)
}

fn texts(value: &mut Value, mut replace: impl FnMut(&str) -> String) {
    match value {
        Value::String(text) => *text = replace(text),
        Value::Array(list) => {
            for text in list.iter_mut() {
                if let Value::String(text) = text {
                    *text = replace(text);
                }
            }
        }
        _ => {}
    }
}

fn fields(value: &mut Value, parent: Option<&str>, names: &mut Pseudonyms) {
    match value {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match (parent, key.as_str()) {
                    (_, "comm") => texts(value, |comm| names.task(comm)),
                    // A device of a dump of btrfs-progs has its path there.
                    (Some("devices"), "path") | (_, "device" | "devices") if !holds_objects(value) => {
                        texts(value, |device| names.device(device));
                    }
                    (_, "path" | "mounts" | "file") => texts(value, |path| names.path(path)),
                    (_, "command") => {
                        if let Ok(words) = serde_json::from_value::<Vec<String>>(value.clone()) {
                            *value = names.command(&words).into();
                        }
                    }
                    (_, "section" | "scope") => texts(value, |word| names.word(word)),
                    (_, "result_reason") => *value = Value::Null,
                    (Some("tests"), "name") | (_, "test") => texts(value, |name| test(name, names)),
                    (_, key) => {
                        let key = key.to_owned();
                        fields(value, Some(&key), names);
                    }
                }
            }
        }
        Value::Array(list) => {
            for value in list {
                fields(value, parent, names);
            }
        }
        _ => {}
    }
}

fn holds_objects(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().any(Value::is_object))
}

/// Words with blanks between them are sentences; the names of states and kinds are single words.
fn sentences(value: &mut Value, names: &Pseudonyms) {
    match value {
        Value::String(text) if text.contains(' ') => *text = names.text(text),
        Value::Object(object) => object.values_mut().for_each(|value| sentences(value, names)),
        Value::Array(list) => list.iter_mut().for_each(|value| sentences(value, names)),
        _ => {}
    }
}
