//! The daily clean-up as a Lambda.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_devices::EVERY_DAY_CLEANUP)
}
