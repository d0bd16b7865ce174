//! The Lambda `sync`.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_sync::HTTP)
}
