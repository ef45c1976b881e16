//! Begin and end of a session.
use std::collections::BTreeMap;

use probe_record::session::{FsPlace, HookCount, HookRow, SessionEnd, SessionHeader};

use crate::{bundle::names::Pseudonyms, format};

/// The header with pseudonyms in place of names. Every field is named here, so that a new one has to be decided on.
pub(super) fn header(header: SessionHeader, names: &mut Pseudonyms) -> SessionHeader {
    let SessionHeader {
        tool_version,
        kernel,
        tier,
        tier_reason,
        hooks,
        command,
        wall_offset_ns,
        started_at_ns,
        options,
        filesystems,
        flush_states,
    } = header;
    let filesystems = places(filesystems, names);
    let command = names.command(&command);
    let hook = |row: HookRow| HookRow { reason: names.text(&row.reason), ..row };
    SessionHeader {
        tool_version,
        kernel,
        tier,
        tier_reason: tier_reason.map(|reason| names.text(&reason)),
        hooks: hooks.into_iter().map(hook).collect(),
        command,
        wall_offset_ns,
        started_at_ns,
        options: self::options(options, names),
        filesystems,
        flush_states,
    }
}

/// The end, likewise.
pub(super) fn end(end: SessionEnd, names: &mut Pseudonyms) -> SessionEnd {
    let SessionEnd { ended_at_ns, records, loss, hooks, command_status, filesystems } = end;
    let hooks: Vec<HookCount> = hooks;
    SessionEnd { ended_at_ns, records, loss, hooks, command_status, filesystems: places(filesystems, names) }
}

fn places(places: Vec<FsPlace>, names: &mut Pseudonyms) -> Vec<FsPlace> {
    let place = |FsPlace { uuid, devices, mounts }: FsPlace| FsPlace {
        uuid,
        devices: devices.iter().map(|device| names.device(device)).collect(),
        mounts: mounts.iter().map(|mount| names.path(mount)).collect(),
    };
    places.into_iter().map(place).collect()
}

/// Numbers, UUIDs and words of the tool stay. The name of a filesystem that was not found is a path.
fn options(options: BTreeMap<String, String>, names: &mut Pseudonyms) -> BTreeMap<String, String> {
    let plain = |value: &str| {
        value.len() <= 16 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let mut value = |value: &str| {
        let mut out = String::new();
        for part in value.split_inclusive([',', '|']) {
            let word = part.trim_end_matches([',', '|']);
            let keep = format::parse_uuid(word).is_some() || word.is_empty();
            out.push_str(&if keep { word.to_owned() } else { names.path(word) });
            out.push_str(&part[word.len()..]);
        }
        out
    };
    options
        .into_iter()
        .map(|(name, typed)| {
            let keep = name != probe_record::session::ONLY_FILESYSTEMS && plain(&typed);
            let typed = if keep { typed } else { value(&typed) };
            (name, typed)
        })
        .collect()
}
