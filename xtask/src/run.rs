//! `cargo xtask test`: chooses the steps, runs them in order, stops at the first that fails.

use std::time::Instant;

use anyhow::bail;

use crate::shell::Shell;
use crate::steps::{Done, STEPS, Step};
use crate::summary::{self, Line, seconds};

/// What to check.
#[derive(Debug, Default, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct TestArgs {
    /// Format, and let clippy repair what it can, before checking
    #[arg(long)]
    pub(crate) fix: bool,
    /// Leave out the slow steps
    #[arg(long, conflicts_with = "only")]
    pub(crate) fast: bool,
    /// Run this step only; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// Print the steps in order and run none
    #[arg(long)]
    pub(crate) list: bool,
    /// Install cargo-deny when it is missing (some 8 minutes)
    #[arg(long)]
    pub(crate) deny: bool,
}

/// Runs the chosen steps and ends with a table of how long each took.
///
/// # Errors
/// The first step that fails, by name and with the command that repeats it alone.
pub(crate) fn test(shell: &Shell, args: &TestArgs) -> anyhow::Result<()> {
    let steps = chosen(STEPS, args)?;
    if args.list {
        for step in &steps {
            println!("{:<10}{}{}", step.name, step.about, if step.fast { "" } else { "  (not with --fast)" });
        }
        return Ok(());
    }
    let mut lines = Vec::new();
    for (nr, step) in steps.iter().enumerate() {
        println!("\n=== {}/{} {}: {}", nr + 1, steps.len(), step.name, step.about);
        let begun = Instant::now();
        let done = (step.check)(shell, args);
        let took = begun.elapsed();
        match done {
            Ok(Done::Passed) => println!("=== {} passed in {}", step.name, seconds(took)),
            Ok(Done::LeftOut(ref why)) => println!("!!! {} LEFT OUT: {why}", step.name),
            Err(_) => println!("=== {} FAILED after {}", step.name, seconds(took)),
        }
        lines.push(Line::new(step.name, took, &done));
        if let Err(error) = done {
            print!("\n{}", summary::table(&lines));
            let not_run = steps.len() - lines.len();
            let rest = if not_run == 0 { String::new() } else { format!("; {not_run} later steps were not run") };
            bail!(
                "step `{name}` failed: {error:#}{rest}\nrepeat it alone: cargo xtask test --only {name}",
                name = step.name
            );
        }
    }
    print!("\n{}", summary::table(&lines));
    Ok(())
}

/// The steps that the arguments ask for, in the table's order.
fn chosen<'a>(steps: &'a [Step], args: &TestArgs) -> anyhow::Result<Vec<&'a Step>> {
    let names = || steps.iter().map(|step| step.name);
    if let Some(unknown) = args.only.iter().find(|name| !names().any(|known| known == *name)) {
        bail!("--only: there is no step `{unknown}`; there are {}", names().collect::<Vec<_>>().join(", "));
    }
    let wanted = |step: &&Step| {
        if args.only.is_empty() { !args.fast || step.fast } else { args.only.iter().any(|name| name == step.name) }
    };
    Ok(steps.iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(args: &TestArgs) -> Vec<&'static str> {
        chosen(STEPS, args).unwrap().iter().map(|step| step.name).collect()
    }

    #[test]
    fn without_arguments_all_steps_run() {
        assert_eq!(names(&TestArgs::default()).len(), STEPS.len());
    }

    #[test]
    fn fast_keeps_format_clippy_and_tests_and_drops_the_slow() {
        let fast = names(&TestArgs { fast: true, ..TestArgs::default() });
        assert!(["format", "clippy", "tests"].iter().all(|name| fast.contains(name)));
        assert!(!fast.contains(&"docs"));
    }

    #[test]
    fn only_keeps_the_order_of_the_table() {
        let only = TestArgs { only: vec!["tests".into(), "format".into()], ..TestArgs::default() };
        assert_eq!(names(&only), ["format", "tests"]);
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_known_ones() {
        let only = TestArgs { only: vec!["clipy".into()], ..TestArgs::default() };
        let error = chosen(STEPS, &only).err().expect("there is no such step").to_string();
        assert!(error.starts_with("--only: there is no step `clipy`; there are setup, format, "), "{error}");
    }
}
