//! The Lambda `auth`.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_auth::HTTP)
}
