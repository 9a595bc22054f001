//! Real Terraform.

use std::fmt::Write;

use stateward_testkit::{Output, Terraform, Workdir};

use super::super::report::{Line, Quantity};
use super::super::stats::Samples;
use super::super::{Bench, Result, clock};

const RESOURCES: usize = 50;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let served = bench.serve("apply");
    let terraform = Terraform::find();
    let [mut over_http, mut local] = [Samples::default(), Samples::default()];
    for run in 0..bench.runs {
        let http = terraform.workdir(&bench.dir, &format!("apply-http-{run}"));
        http.write_http_backend(&served.server.url(&format!("/state/apply-{run}")));
        let file = terraform.workdir(&bench.dir, &format!("apply-local-{run}"));
        prepare(&http)?;
        prepare(&file)?;
        // By turns in the other order, because the first of two may find the machine in another state.
        if run % 2 == 0 {
            apply(&http, &mut over_http)?;
            apply(&file, &mut local)?;
        } else {
            apply(&file, &mut local)?;
            apply(&http, &mut over_http)?;
        }
    }
    let name = format!("terraform apply of {RESOURCES} new resources");
    let line = Line::new(name, Quantity::Millis(over_http.median()), over_http.len());
    bench.report(&line.against("local backend", Quantity::Millis(local.median())).at_most(1.05));
    Ok(())
}

fn prepare(workdir: &Workdir) -> Result<()> {
    workdir.write("main.tf", configuration(RESOURCES));
    succeeded(&workdir.run(&["init"]))
}

fn apply(workdir: &Workdir, samples: &mut Samples) -> Result<()> {
    let (time, output) = clock::timed(|| workdir.run(&["apply", "-auto-approve"]));
    samples.push_time(time);
    succeeded(&output)
}

fn succeeded(output: &Output) -> Result<()> {
    if output.code() == Some(0) { Ok(()) } else { Err(output.report().into()) }
}

fn configuration(resources: usize) -> String {
    let mut text = String::new();
    for number in 0..resources {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "resource \"terraform_data\" \"r{number}\" {{\n  input = \"value {number}\"\n}}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_has_so_many_resources() {
        let text = configuration(3);
        assert_eq!(text.matches("resource \"terraform_data\"").count(), 3);
        assert!(text.contains("\"r2\" {\n  input = \"value 2\"\n}\n"));
    }
}
