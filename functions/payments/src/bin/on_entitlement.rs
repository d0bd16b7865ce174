//! The stream of entitlements as a Lambda.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_payments::ON_ENTITLEMENT)
}
