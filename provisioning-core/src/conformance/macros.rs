//! What the macros of all suites share. Each suite has a list macro `__…_rules!` that hands its rules to one of these.

/// Makes each rule a test of its own name.
#[doc(hidden)]
#[macro_export]
macro_rules! __rule_tests {
    ($suite:ident [$($rule:ident),+ $(,)?] ($fixture:expr)) => {
        $(
            #[test]
            fn $rule() {
                $crate::conformance::__private::run(stringify!($rule), async {
                    let fixture = $fixture;
                    $crate::conformance::$suite::$rule(&fixture).await
                });
            }
        )+
    };
}

/// Tries each rule on a fixture of its own and gives those that are broken.
#[doc(hidden)]
#[macro_export]
macro_rules! __rules_broken {
    ($suite:ident [$($rule:ident),+ $(,)?] ($fixture:expr)) => {{
        let attempts = [$(
            $crate::conformance::__private::attempt(stringify!($rule), async {
                let fixture = $fixture;
                $crate::conformance::$suite::$rule(&fixture).await
            })
        ),+];
        attempts.into_iter().filter_map(Result::err).collect()
    }};
}

/// The rules' names.
#[doc(hidden)]
#[macro_export]
macro_rules! __rule_names {
    ($suite:ident [$($rule:ident),+ $(,)?] ()) => { &[$(stringify!($rule)),+] };
}
