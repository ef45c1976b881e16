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
    doctor
}
