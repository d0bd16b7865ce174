//! Closed lists of reasons: what is refused is told by a name of ours, never by anything of what was refused.

/// An enum of reasons, each with its stable name (for logs, metrics and the code of a problem) and its meaning.
macro_rules! closed_list {
    ($(#[$about:meta])* $name:ident { $($variant:ident = $text:literal $doc:literal)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = $doc] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable name, for logs, metrics and the code of a problem.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

pub(crate) use closed_list;
