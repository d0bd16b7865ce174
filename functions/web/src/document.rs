//! One OpenAPI document of all families: what they have in common is said here, once.

use satchel_inbound::http::Problem;
use satchel_inbound::http::error::WrongField;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Scopes, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ContentBuilder, Header, HeaderBuilder, Info, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref,
    RefOr, Response, ResponseBuilder, ServerBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

/// The document as it stands in the repository; `make openapi` writes it, a test fails where it is not what the code says.
pub(crate) const TEXT: &str = include_str!("../../../docs/openapi.json");

const DESCRIPTION: &str = "The back end an offline-first app needs: sign-in, devices, end-to-end-encrypted sync, add-ons.

A failure is RFC 9457 `application/problem+json`; clients switch on its `code`. Every answer has `x-request-id`. Times are \
Unix seconds in sync, payments and in `last_heartbeat_at` and `last_seen`, RFC 3339 elsewhere. Unknown fields of a body are \
ignored.";

const TAGS: [(&str, &str); 6] = [
    ("auth", "Signing in with Apple or Google, sessions, the account"),
    ("customers", "Which people belong to a customer of the back office"),
    ("devices", "What each device is, what it can do, whether it is there"),
    ("sync", "End-to-end-encrypted entries between a person's devices"),
    ("payments", "What a person may use"),
    ("web", "Health and this document"),
];

/// A family's parts as one document: title, security schemes, tags, and on every operation the failures it can answer.
#[must_use]
pub fn document(parts: Vec<OpenApi>) -> OpenApi {
    let mut document = OpenApiBuilder::new()
        .info(info())
        .servers(Some([ServerBuilder::new().url("/").description(Some("Where this document came from")).build()]))
        .tags(Some(TAGS.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build())))
        .components(Some(components()))
        .build();
    for part in parts {
        document.merge(part);
    }
    let mut ids = Vec::new();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(operation_id(method, path));
            complete(path, operation);
            ids.extend(parameter_schemas(operation));
        }
    }
    // utoipa collects the schemas that bodies refer to, not those of parameters; a path parameter is an id.
    let schemas = &mut document.components.get_or_insert_default().schemas;
    for name in ids {
        schemas.entry(name).or_insert_with(id_schema);
    }
    document
}

/// The names of the schemas that `operation`'s parameters refer to.
fn parameter_schemas(operation: &Operation) -> impl Iterator<Item = String> {
    operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => match &parameter.schema {
            Some(RefOr::Ref(reference)) => {
                reference.ref_location.strip_prefix("#/components/schemas/").map(str::to_owned)
            }
            _ => None,
        },
        RefOr::Ref(_) => None,
    })
}

/// Any id of a path or a query (docs/api.md).
fn id_schema() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z0-9_.:-]+$"))
        .min_length(Some(1))
        .max_length(Some(128))
        .into()
}

fn info() -> Info {
    let license = LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build();
    InfoBuilder::new()
        .title("Satchel")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license))
        .build()
}

fn components() -> Components {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("Access token of a sign-in or of `/auth/token`: a JWT signed with ES256, 15 minutes"))
        .build();
    let push = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("OpenID Connect token by which Google Cloud Pub/Sub says that a push is our subscription's"))
        .build();
    let scopes = Scopes::from_iter([
        ("admin", "Defaults and broadcast"),
        ("portal:write", "Portal records and customer links"),
        ("notifications:send", "Notifications"),
        ("entitlements:write", "Grants of add-ons"),
    ]);
    let services = OAuth2::with_description(
        [Flow::ClientCredentials(ClientCredentials::new("/auth/token", scopes))],
        "A back office's own services",
    );
    let mut components = Components::new();
    components.add_security_scheme("access_token", SecurityScheme::Http(token));
    components.add_security_scheme("google_push", SecurityScheme::Http(push));
    components.add_security_scheme("client_credentials", SecurityScheme::OAuth2(services));
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.schemas.insert(WrongField::name().into_owned(), WrongField::schema());
    for failure in FAILURES {
        components.responses.insert(failure.name.to_owned(), RefOr::T(failure.response()));
    }
    components
}

/// A failure that many operations share.
struct Failure {
    status: &'static str,
    name: &'static str,
    description: &'static str,
    header: Option<(&'static str, &'static str, Type)>,
    when: fn(&str, &Operation) -> bool,
}

const FAILURES: [Failure; 10] = [
    Failure {
        status: "400",
        name: "Malformed",
        description: "The request cannot be read, such as `malformed_json`",
        header: None,
        when: |_, operation| operation.request_body.is_some(),
    },
    Failure {
        status: "401",
        name: "Unauthenticated",
        description: "No believable access token: `missing_token`, `invalid_token`, `token_expired`, `session_revoked`",
        header: Some(("WWW-Authenticate", "RFC 6750", Type::String)),
        when: |_, operation| is_secured(operation),
    },
    Failure {
        status: "403",
        name: "Forbidden",
        description: "Not allowed: `not_for_services`, `insufficient_scope`, `device_id_mismatch`, `reauthentication_required`",
        header: None,
        when: |_, operation| is_secured(operation),
    },
    Failure {
        status: "404",
        name: "NotFound",
        description: "`not_found`: not there, or not the caller's",
        header: None,
        when: |path, _| path.contains('{'),
    },
    Failure {
        status: "413",
        name: "TooLarge",
        description: "`body_too_large`: more than 4 MiB",
        header: None,
        when: |_, operation| operation.request_body.is_some(),
    },
    Failure {
        status: "415",
        name: "UnsupportedMedia",
        description: "`unsupported_media_type`: the body is of a kind that is not read here",
        header: None,
        when: |_, operation| operation.request_body.is_some(),
    },
    Failure {
        status: "422",
        name: "Invalid",
        description: "`invalid_input`: `errors` names each field that is missing, of a wrong type or out of range",
        header: None,
        when: |_, operation| operation.request_body.is_some() || (is_secured(operation) && has_input(operation)),
    },
    Failure {
        status: "429",
        name: "TooMany",
        description: "`too_many_requests`, or API Gateway's own throttling",
        header: Some(("Retry-After", "Seconds after which a new try makes sense", Type::Integer)),
        when: |_, _| true,
    },
    Failure {
        status: "500",
        name: "Internal",
        description: "`internal`: a fault of ours",
        header: None,
        when: |_, _| true,
    },
    Failure {
        status: "503",
        name: "Unavailable",
        description: "`unavailable`: a dependency throttles or times out, or API Gateway's own answer",
        header: Some(("Retry-After", "Seconds after which a new try makes sense", Type::Integer)),
        when: |_, _| true,
    },
];

impl Failure {
    fn response(&self) -> Response {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
        let mut builder =
            ResponseBuilder::new().description(self.description).content("application/problem+json", problem);
        if matches!(self.status, "413" | "429" | "503") {
            builder = builder.content("application/json", ContentBuilder::new().schema(Some(gateways_own())).build());
        }
        if let Some((name, description, kind)) = &self.header {
            builder = builder.header(*name, header(description, kind.clone()));
        }
        builder.build()
    }
}

fn header(description: &str, kind: Type) -> Header {
    HeaderBuilder::new()
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(kind).build()))
        .build()
}

/// What API Gateway answers by itself.
fn gateways_own() -> RefOr<Schema> {
    let message: RefOr<Schema> = RefOr::T(Schema::Object(Object::with_type(Type::String)));
    ObjectBuilder::new()
        .property("message", message)
        .required("message")
        .description(Some("API Gateway's own answer"))
        .into()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// What generated clients call the operation: method and path, such as `deleteDevicesById`. The handlers' own names are
/// short and not unique.
fn operation_id(method: &str, path: &str) -> String {
    let mut id = method.to_owned();
    for segment in path.split('/') {
        let words = match segment.strip_prefix('{') {
            Some(name) => format!("by_{}", name.trim_end_matches('}')),
            None => segment.to_owned(),
        };
        for word in words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            let mut letters = word.chars();
            id.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            id.push_str(letters.as_str());
        }
    }
    id
}

/// An operation without `security` is taken for secured, so that a forgotten one shows as too strict, not as public.
fn is_secured(operation: &Operation) -> bool {
    let public = utoipa::openapi::security::SecurityRequirement::default();
    operation.security.as_ref().is_none_or(|all| !all.contains(&public))
}

fn has_input(operation: &Operation) -> bool {
    use utoipa::openapi::path::ParameterIn;
    operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => matches!(parameter.parameter_in, ParameterIn::Query | ParameterIn::Header),
        RefOr::Ref(_) => true,
    })
}

fn complete(path: &str, operation: &mut Operation) {
    for failure in FAILURES {
        let said = operation.responses.responses.contains_key(failure.status);
        if !said && (failure.when)(path, operation) {
            let reference = Ref::new(format!("#/components/responses/{}", failure.name));
            operation.responses.responses.insert(failure.status.to_owned(), RefOr::Ref(reference));
        }
    }
}
