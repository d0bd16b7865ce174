//! The hourly reconciliation with the stores as a Lambda.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_payments::EVERY_HOUR_RECONCILE)
}
