//! Devices as clients see them.

use satchel_domain::devices::Description;
use satchel_domain::ids::DeviceId;
use satchel_domain::session::Platform;
use satchel_domain::{Error, Result, Timestamp};
use satchel_store::devices::DeviceRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a device says about itself; what is missing stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct DeviceIn {
    /// The caller's own device; may be left out.
    #[serde(default)]
    #[schema(example = "dev_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    pub(crate) device_id: Option<String>,
    /// What kind it is; at first as the sign-in said, else `web`.
    #[serde(default)]
    pub(crate) platform: Option<Platform>,
    /// What the person calls it.
    #[serde(default)]
    #[schema(example = "Ada's phone", min_length = 1, max_length = 200)]
    pub(crate) device_name: Option<String>,
    /// Model.
    #[serde(default)]
    #[schema(example = "iPhone17,1", min_length = 1, max_length = 100)]
    pub(crate) device_model: Option<String>,
    /// Version of its system.
    #[serde(default)]
    #[schema(example = "19.1", min_length = 1, max_length = 100)]
    pub(crate) os_version: Option<String>,
    /// Version of the app.
    #[serde(default)]
    #[schema(example = "3.2.0", min_length = 1, max_length = 100)]
    pub(crate) app_version: Option<String>,
    /// Time zone (IANA).
    #[serde(default)]
    #[schema(example = "Europe/Vienna")]
    pub(crate) timezone: Option<String>,
    /// Whether the person wants pushes on it.
    #[serde(default)]
    pub(crate) push_enabled: Option<bool>,
    /// Token of the platform's push service (APNs, FCM). It leaves whatever device held it before.
    #[serde(default)]
    #[schema(
        example = "740f4707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bb78ad",
        min_length = 1,
        max_length = 4096
    )]
    pub(crate) token: Option<String>,
}

impl DeviceIn {
    /// The description, read.
    ///
    /// # Errors
    /// 422 with every wrong field.
    pub(crate) fn checked(self) -> Result<Description> {
        Description {
            platform: self.platform,
            device_name: self.device_name,
            device_model: self.device_model,
            os_version: self.os_version,
            app_version: self.app_version,
            timezone: self.timezone,
            push_enabled: self.push_enabled,
            token: self.token,
        }
        .checked()
    }
}

/// What the person wants of a device.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct DeviceChange {
    /// What the person calls it.
    #[serde(default)]
    #[schema(example = "Kitchen tablet", min_length = 1, max_length = 200)]
    pub(crate) device_name: Option<String>,
    /// Whether the person wants pushes on it.
    #[serde(default)]
    pub(crate) push_enabled: Option<bool>,
}

/// What a device can do for the person's others.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Capabilities {
    /// Whether it runs inference.
    pub(crate) can_inference: bool,
    /// The models it offers.
    pub(crate) inference_models: Vec<String>,
}

/// A device. Times are RFC 3339, but `last_heartbeat_at`, which is Unix seconds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceOut {
    /// The device.
    #[schema(value_type = String, example = "dev_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    id: DeviceId,
    /// What kind it is.
    platform: Platform,
    /// What the person calls it.
    #[schema(example = "Ada's phone")]
    device_name: Option<String>,
    /// Model.
    #[schema(example = "iPhone17,1")]
    device_model: Option<String>,
    /// Version of its system.
    #[schema(example = "19.1")]
    os_version: Option<String>,
    /// Version of the app.
    #[schema(example = "3.2.0")]
    app_version: Option<String>,
    /// Time zone (IANA).
    #[schema(example = "Europe/Vienna")]
    timezone: Option<String>,
    /// Whether the person wants pushes on it.
    push_enabled: bool,
    /// Whether it is in use.
    is_active: bool,
    /// What it can do for the person's other devices.
    capabilities: Capabilities,
    /// Last heartbeat, Unix seconds.
    #[schema(example = 1_767_225_600)]
    last_heartbeat_at: Option<i64>,
    /// Last activity, RFC 3339.
    #[schema(value_type = String, format = DateTime, example = "2026-01-01T00:00:00Z")]
    last_active_at: Timestamp,
    /// First described, RFC 3339.
    #[schema(value_type = String, format = DateTime, example = "2026-01-01T00:00:00Z")]
    created_at: Timestamp,
    /// Last changed, RFC 3339.
    #[schema(value_type = String, format = DateTime, example = "2026-01-01T00:00:00Z")]
    updated_at: Timestamp,
}

impl TryFrom<DeviceRow> for DeviceOut {
    type Error = Error;

    fn try_from(row: DeviceRow) -> Result<Self> {
        let time = |millis| Timestamp::from_millisecond(millis).map_err(Error::internal);
        Ok(Self {
            id: row.id,
            platform: row.platform,
            device_name: row.device_name,
            device_model: row.device_model,
            os_version: row.os_version,
            app_version: row.app_version,
            timezone: row.timezone,
            push_enabled: row.push_enabled,
            is_active: row.is_active,
            capabilities: Capabilities { can_inference: row.can_inference, inference_models: row.inference_models },
            last_heartbeat_at: row.last_heartbeat_at,
            last_active_at: time(row.last_active_at)?,
            created_at: time(row.created_at)?,
            updated_at: time(row.updated_at)?,
        })
    }
}

/// The caller's devices.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DevicesOut {
    /// Those in use, last seen first.
    pub(crate) devices: Vec<DeviceOut>,
}

/// Done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

impl Done {
    pub(crate) const OK: Self = Self { status: "ok" };
}

/// What a device can do.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CapabilitiesIn {
    /// The caller's own device.
    #[schema(example = "dev_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    pub(crate) device_id: String,
    /// Whether it runs inference for the person's other devices.
    pub(crate) can_inference: bool,
    /// The models it offers: at most 64 of at most 128 characters.
    #[schema(max_items = 64, example = json!(["llama-3.2-3b"]))]
    pub(crate) inference_models: Vec<String>,
}

/// A device is there.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct HeartbeatIn {
    /// The caller's own device.
    #[schema(example = "dev_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    pub(crate) device_id: String,
}

/// A device that runs inference.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CapableDevice {
    /// The device.
    #[schema(value_type = String, example = "dev_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    pub(crate) device_id: DeviceId,
    /// What the person calls it, else its model or kind.
    #[schema(example = "Ada's Mac")]
    pub(crate) device_name: String,
    /// What kind it is.
    pub(crate) platform: Platform,
    /// Whether its last heartbeat is at most 60 s old.
    pub(crate) is_online: bool,
    /// The models it offers.
    #[schema(example = json!(["llama-3.2-3b"]))]
    pub(crate) inference_models: Vec<String>,
    /// Last heartbeat, Unix seconds.
    #[schema(example = 1_767_225_600)]
    pub(crate) last_seen: i64,
}

/// The caller's devices that run inference.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CapableOut {
    /// Online first, then last seen first.
    pub(crate) devices: Vec<CapableDevice>,
}
