//! What a tablet was told when it was enrolled. Nothing here is secret.

use crate::error::TabletError;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use sync_protocol::id::{DeviceId, Tenant, UserId};
use sync_protocol::replica::Identity;

/// The name of the profile's file in the folder of a tablet.
const FILE: &str = "profile.json";

/// Over which networks photos and videos travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaOn {
    /// Over Wi-Fi only.
    #[default]
    Wifi,
    /// Over mobile networks too.
    Mobile,
}

/// What a person enters to enrol a tablet.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The address of the server: `https://genba.city.example`.
    pub server: String,
    /// The bureau.
    pub tenant: Tenant,
    /// The one-time code.
    pub code: String,
    /// What the user calls the tablet.
    pub name: String,
    /// The certificate of the city's own authority, in PEM, if the system does not know it.
    pub ca: Option<PathBuf>,
}

/// Whose tablet this is, and where its server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The address of the server.
    pub server: String,
    /// The bureau.
    pub tenant: Tenant,
    /// The enrolment.
    pub device: DeviceId,
    /// The user.
    pub user: UserId,
    /// The user's name.
    pub user_name: String,
    /// What assertions name as `aud`.
    pub audience: String,
    /// The certificate of the city's own authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Over which networks photos and videos travel.
    #[serde(default)]
    pub media_on: MediaOn,
}

impl Profile {
    /// Reads the profile of the tablet in a folder.
    pub fn read(dir: &Path) -> Result<Self, TabletError> {
        let path = dir.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(TabletError::NotEnrolled(dir.to_owned()));
            }
            Err(e) => return Err(TabletError::file(path)(e)),
        };
        serde_json::from_slice(&text).map_err(|e| TabletError::file(path)(e.into()))
    }

    /// Whether a folder holds a tablet.
    pub fn exists(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// Writes the profile, whole or not at all.
    pub fn write(&self, dir: &Path) -> Result<(), TabletError> {
        let (path, draft) = (dir.join(FILE), dir.join("profile.json.new"));
        let text = serde_json::to_vec_pretty(self).expect("a profile has string keys");
        let written = File::create(&draft).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)?;
            File::open(dir)?.sync_all()
        });
        written.map_err(TabletError::file(path))
    }

    /// Who writes on this tablet.
    pub const fn identity(&self) -> Identity {
        Identity { device: self.device, user: self.user }
    }
}
