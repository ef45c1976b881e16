//! What `doctor` found.
use crate::{bundle::names::Pseudonyms, kernel::doctor::Doctor};

/// Without the names of filesystems, devices and mount points.
#[must_use]
pub fn doctor(mut doctor: Doctor, names: &mut Pseudonyms) -> Doctor {
    for filesystem in &mut doctor.filesystems {
        filesystem.label = names.label(&filesystem.label);
        for device in &mut filesystem.devices {
            *device = names.device(device);
        }
        for mount in &mut filesystem.mounts {
            *mount = names.path(mount);
        }
    }
    // Where tracefs is mounted, if not where all have it.
    if let Some((said, path)) = doctor.tracefs.note.as_deref().and_then(|note| note.split_once("mounted on "))
        && !path.starts_with("/sys/")
    {
        doctor.tracefs.note = Some(format!("{said}mounted on {}", names.path(path)));
    }
    doctor
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::kernel::{
        doctor::{Access, MountedFilesystem, collect},
        fsid::Fsid,
    };

    #[test]
    fn nothing_that_somebody_named_is_left() {
        let mut found = collect(Path::new("/nonexistent"));
        found.tracefs = Access { available: true, note: Some("mounted on /zq/trace".to_owned()) };
        found.filesystems = vec![MountedFilesystem {
            uuid: Fsid([7; 16]),
            label: "zq".to_owned(),
            devices: vec!["zq1".to_owned()],
            mounts: vec!["/srv/zq".to_owned()],
        }];
        let told = format!("{:?}", doctor(found, &mut Pseudonyms::default()));
        assert!(!told.contains("zq") && told.contains("label-1") && told.contains("device-1"), "{told}");
    }
}
