//! The queue of erased accounts as a Lambda.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_devices::ON_ACCOUNT_ERASED)
}
