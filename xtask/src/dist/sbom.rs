//! The list of all parts of the program, as SPDX 2.3 in JSON.
use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{Dist, parts::Part};
use crate::proc;

/// The document.
///
/// # Errors
/// If `date` cannot name the time of the commit.
pub fn document(dist: &Dist, parts: &[Part]) -> Result<String> {
    let mut date = std::process::Command::new("date");
    date.args(["-u", "-d", &format!("@{}", dist.epoch), "+%Y-%m-%dT%H:%M:%SZ"]);
    let created = proc::stdout_of(&mut date).context("the time of the commit cannot be written")?;
    Ok(serde_json::to_string_pretty(&value(dist, parts, created.trim()))? + "\n")
}

fn id(part: &Part) -> String {
    // SPDX takes letters, digits, dots and hyphens.
    let plain = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
    format!("SPDXRef-{}-{}", plain(&part.name), plain(&part.version))
}

fn value(dist: &Dist, parts: &[Part], created: &str) -> Value {
    let packages: Vec<Value> = parts
        .iter()
        .map(|part| {
            let licence = if part.licence.is_empty() { "NOASSERTION" } else { &part.licence };
            let mut package = json!({
                "SPDXID": id(part),
                "name": part.name,
                "versionInfo": part.version,
                "licenseDeclared": licence.replace('/', " OR "),
                "licenseConcluded": "NOASSERTION",
                "copyrightText": "NOASSERTION",
                "filesAnalyzed": false,
                "downloadLocation": "NOASSERTION",
            });
            if let Some(sum) = &part.checksum {
                let (name, version) = (&part.name, &part.version);
                package["downloadLocation"] =
                    json!(format!("https://crates.io/api/v1/crates/{name}/{version}/download"));
                package["checksums"] = json!([{"algorithm": "SHA256", "checksumValue": sum}]);
                package["externalRefs"] = json!([{
                    "referenceCategory": "PACKAGE-MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": format!("pkg:cargo/{name}@{version}"),
                }]);
            }
            package
        })
        .collect();
    let relation = |from: &str, kind: &str, to: &str| json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to});
    let mut relations: Vec<Value> =
        parts.first().map(|tool| relation("SPDXRef-DOCUMENT", "DESCRIBES", &id(tool))).into_iter().collect();
    // Inside the tool as an object, not as a crate.
    let kernel_side = parts.iter().find(|part| part.name == "probe-ebpf");
    relations.extend(
        parts.first().zip(kernel_side).map(|(tool, inside)| relation(&id(tool), "CONTAINS", &id(inside))),
    );
    for part in parts {
        relations.extend(
            part.uses
                .iter()
                .filter_map(|used| parts.get(*used))
                .map(|used| relation(&id(part), "DEPENDS_ON", &id(used))),
        );
    }
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": dist.stem(),
        "documentNamespace": format!("urn:btrfs-probe:sbom:{}:{}:{}", dist.version, dist.machine, dist.epoch),
        "creationInfo": {"created": created, "creators": ["Tool: btrfs-probe-xtask"]},
        "packages": packages,
        "relationships": relations,
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::PathBuf};

    use super::*;

    #[test]
    fn each_part_is_there_with_its_checksum_and_what_it_uses() {
        let part = |name: &str, checksum: Option<&str>, uses: &[usize]| Part {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: "MIT/Apache-2.0".to_owned(),
            checksum: checksum.map(str::to_owned),
            folder: PathBuf::new(),
            uses: uses.iter().copied().collect::<BTreeSet<_>>(),
        };
        let parts =
            [part("probe-user", None, &[1]), part("a_b", Some("12"), &[]), part("probe-ebpf", None, &[])];
        let dist = Dist { version: "0.1.0".to_owned(), epoch: 0, machine: "x86_64", folder: PathBuf::new() };
        let document = value(&dist, &parts, "1970-01-01T00:00:00Z");
        assert_eq!(document["packages"][1]["SPDXID"], "SPDXRef-a-b-1.0.0");
        assert_eq!(document["packages"][1]["checksums"][0]["checksumValue"], "12");
        assert_eq!(document["packages"][1]["licenseDeclared"], "MIT OR Apache-2.0");
        assert_eq!(document["packages"][0]["downloadLocation"], "NOASSERTION");
        let kinds: Vec<&Value> = document["relationships"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|relation| &relation["relationshipType"])
            .collect();
        assert_eq!(kinds, ["DESCRIBES", "CONTAINS", "DEPENDS_ON"]);
    }
}
