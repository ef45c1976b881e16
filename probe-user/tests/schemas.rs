//! What the last release promised to readers of our JSON still holds: its schemas are kept in `docs/schema/released/`.
//!
//! The documents are our output, so a new field breaks no reader, also if it is always there. What breaks one: a field that is
//! gone, that has a type it did not have, or that was always there and no longer is. What we read of our own (`--against`) is
//! tested with a report that an older version wrote.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

/// References followed inside one another: a tree of frames refers to itself.
const DEEPEST: usize = 24;

/// What a schema says of the values at one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    types: BTreeSet<String>,
    /// It is there whenever what contains it is there.
    always: bool,
}

/// Every path of a document, `a.b[].c`, with what can be there. A line of a stream has its type in its path.
fn places(schema: &Value) -> BTreeMap<String, Place> {
    let mut found = BTreeMap::new();
    walk(schema, schema, "", &mut Vec::new(), &mut found);
    found
}

fn walk<'s>(
    root: &'s Value,
    schema: &'s Value,
    path: &str,
    open: &mut Vec<&'s str>,
    found: &mut BTreeMap<String, Place>,
) {
    if let Some(name) = schema["$ref"].as_str() {
        if open.len() < DEEPEST && !open.contains(&name) {
            open.push(name);
            let target = root.pointer(name.trim_start_matches('#')).unwrap_or(&Value::Null);
            walk(root, target, path, open, found);
            open.pop();
        } else {
            // Inside itself: the same as outside.
            found.entry(path.to_owned()).or_default().types.insert("the same again".to_owned());
        }
    }
    for all in ["allOf", "anyOf", "oneOf"] {
        for part in schema[all].as_array().into_iter().flatten() {
            let tag = part["properties"]["type"]["const"].as_str();
            let path = tag.map_or_else(|| path.to_owned(), |tag| format!("{path}<{tag}>"));
            walk(root, part, &path, open, found);
        }
    }
    let types = match (&schema["type"], &schema["const"]) {
        (Value::String(one), _) => vec![one.clone()],
        (Value::Array(many), _) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        (_, Value::String(_)) => vec!["string".to_owned()],
        _ => Vec::new(),
    };
    found.entry(path.to_owned()).or_default().types.extend(types);
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        walk(root, property, &path, open, found);
        found.entry(path).or_default().always |= required.contains(&name.as_str());
    }
    for (key, sign) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(root, &schema[key], &format!("{path}{sign}"), open, found);
        }
    }
}

/// What a reader of `old` can stumble over in `new`.
fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let (old, new) = (places(old), places(new));
    let mut broken = Vec::new();
    for (path, was) in &old {
        let Some(is) = new.get(path) else {
            broken.push(format!("{path} is gone"));
            continue;
        };
        let foreign: Vec<&String> = is.types.difference(&was.types).collect();
        // A number was an integer or a fraction, so an integer alone is none the wiser.
        let known = |name: &str| name == "integer" && was.types.contains("number");
        if foreign.iter().any(|name| !known(name)) {
            broken.push(format!("{path} can be {foreign:?}, and was {:?}", was.types));
        }
        if was.always && !is.always {
            broken.push(format!("{path} is no longer always there"));
        }
    }
    broken
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn schema(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .unwrap()
}

#[test]
fn nothing_that_was_released_is_broken() {
    let mut checked = 0;
    let mut broken = Vec::new();
    for entry in fs::read_dir(folder("../docs/schema/released")).unwrap() {
        let released = entry.unwrap().path();
        let name = released.file_name().unwrap().to_str().unwrap().to_owned();
        let now = folder("../docs/schema").join(&name);
        broken.extend(
            breaks(&schema(&released), &schema(&now)).into_iter().map(|text| format!("{name}: {text}")),
        );
        checked += 1;
    }
    assert!(checked >= 7, "{checked} schemas were kept");
    assert!(broken.is_empty(), "a reader of the last release stumbles:\n{}", broken.join("\n"));
}

#[test]
fn each_kind_of_break_is_found_and_what_is_new_is_none() {
    let old = json!({
        "type": "object", "required": ["a", "list"],
        "properties": {
            "a": {"$ref": "#/$defs/A"},
            "list": {"type": "array", "items": {"$ref": "#/$defs/A"}},
            "maybe": {"type": ["string", "null"]},
        },
        "$defs": {"A": {"type": "object", "required": ["x"], "properties": {
            "x": {"type": "integer"}, "inner": {"$ref": "#/$defs/A"}}}},
    });
    assert_eq!(breaks(&old, &old), Vec::<String>::new());
    let change = |pointer: &str, value: Value| {
        let mut new = old.clone();
        *new.pointer_mut(pointer).unwrap() = value;
        breaks(&old, &new)
    };
    assert_eq!(
        change("/$defs/A/properties", json!({"inner": {"$ref": "#/$defs/A"}})),
        [".a.x is gone", ".list[].x is gone"]
    );
    assert_eq!(change("/properties/maybe/type", json!("integer")).len(), 1);
    assert_eq!(change("/properties/maybe/type", json!("string")), Vec::<String>::new());
    assert_eq!(change("/required", json!(["a"])), [".list is no longer always there"]);
    assert_eq!(change("/required", json!(["a", "list", "maybe"])), Vec::<String>::new());
    let more = json!({"x": {"type": "integer"}, "y": {"type": "string"}, "inner": {"$ref": "#/$defs/A"}});
    assert_eq!(change("/$defs/A/properties", more), Vec::<String>::new());
}

#[test]
fn lines_of_a_stream_are_told_apart_by_their_type() {
    let line = |tag: &str, field: &str| json!({"type": "object", "properties": {"type": {"const": tag, "type": "string"}, field: {"type": "string"}}});
    let old = json!({"oneOf": [line("one", "a"), line("two", "b")]});
    let new = json!({"oneOf": [line("two", "b"), line("three", "a")]});
    assert_eq!(breaks(&old, &new), ["<one> is gone", "<one>.a is gone", "<one>.type is gone"]);
    let moved = json!({"oneOf": [line("two", "a"), line("one", "b")]});
    assert_eq!(breaks(&old, &moved), ["<one>.a is gone", "<two>.b is gone"]);
}

#[test]
fn reports_that_older_versions_wrote_are_read() {
    for entry in fs::read_dir(folder("testdata/released")).unwrap() {
        let report = entry.unwrap().path();
        let output = Command::new(env!("CARGO_BIN_EXE_btrfs-probe"))
            .args(["demo", "--broken", "-q", "--against"])
            .arg(&report)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        // All of the recording's findings are in it, so none is new.
        assert_eq!(output.status.code(), Some(0), "{}: {said}", report.display());
    }
}
