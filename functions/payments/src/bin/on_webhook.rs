//! The queue of outgoing webhooks as a Lambda.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_payments::ON_WEBHOOK)
}
