//! The Lambda `auth-on-session`.

fn main() -> Result<(), satchel_inbound::BoxError> {
    satchel_inbound::run(satchel_auth::ON_SESSION)
}
