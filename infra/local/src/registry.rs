//! Every function there is, by the name of its binary.

use satchel_inbound::Function;

/// All functions of all families.
#[must_use]
pub fn all() -> Vec<Function> {
    [
        satchel_auth::FUNCTIONS,
        satchel_devices::FUNCTIONS,
        satchel_sync::FUNCTIONS,
        satchel_payments::FUNCTIONS,
        satchel_web::FUNCTIONS,
    ]
    .concat()
}

/// The function whose binary is called `name`.
#[must_use]
pub fn find(name: &str) -> Option<Function> {
    all().into_iter().find(|function| function.name == name)
}
