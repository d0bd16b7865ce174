//! The Lambda `auth-on-export`.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_auth::ON_EXPORT)
}
