//! The queue of the stores' events as a Lambda.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_payments::ON_STORE_EVENT)
}
