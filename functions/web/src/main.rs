//! Documentation, health and unknown routes as a Lambda.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_web::HTTP)
}
