//! A fleet of one against the stub, which plays the operators' API as well.

use std::time::Duration;

use provisioning_core::model::{Release, Secret};
use provisioning_sim::real::fleet::{Fleet, FleetEvent, FleetOptions, OperatorError, Summary};
use provisioning_sim::real::host::Timing;
use tokio::sync::mpsc::unbounded_channel;

use crate::stub::Stub;

/// Runs a fleet of one before a stub that was told by `plan` what to say.
async fn fleet(plan: impl FnOnce(&Stub)) -> (Stub, Result<Summary, OperatorError>, Vec<FleetEvent>) {
    let (stub, server) = Stub::start(Release::new(9, 2)).await;
    plan(&stub);
    let options = FleetOptions {
        hosts: 1,
        seed: 4242,
        token: Some(Secret::new("operators-token".into())),
        // Any free port: nobody logs in here.
        ssh_port: 0,
        rebuild_failed: 1,
        timeout: Some(Duration::from_secs(60)),
        iso_filler_bytes: 1 << 16,
        timing: Timing { second: Duration::from_micros(200), person: Duration::from_millis(10), ..Timing::default() },
        ..FleetOptions::new(server)
    };
    let (watch, mut events) = unbounded_channel();
    let mut fleet = Fleet::new(options, watch).unwrap();
    let summary = fleet.run().await;
    drop(fleet);
    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        seen.push(event);
    }
    (stub, summary, seen)
}

#[tokio::test]
async fn a_fleet_brings_its_host_to_ready_and_reports_every_phase() {
    let (stub, summary, events) = fleet(|stub| stub.plan().api_outages = 2).await;
    let summary = summary.unwrap();
    assert_eq!(summary.to_string(), "1 ready, 0 failed");
    assert!(summary.is_success());
    let api = stub.seen("/api/");
    assert!(api.iter().filter(|seen| seen.headers["authorization"] == "Bearer operators-token").count() >= 7);
    let import = api.iter().find(|seen| seen.path == "/api/images" && seen.method == "POST").unwrap();
    assert_eq!(import.headers["content-type"], "application/octet-stream");
    let registered = api.iter().find(|seen| seen.path == "/api/hosts" && seen.method == "POST").unwrap();
    let body: serde_json::Value = serde_json::from_str(&registered.body).unwrap();
    assert_eq!((&body["hostname"], &body["server_type"]), (&"sim-4242-001".into(), &"small".into()));
    assert_eq!(body["macs"].as_array().unwrap().len(), 2);
    let ready = FleetEvent::Phase { host: "sim-4242-001".into(), phase: "ready".into() };
    assert_eq!(events.iter().filter(|event| **event == ready).count(), 1);
}

#[tokio::test]
async fn a_host_that_fails_is_rebuilt_as_often_as_wished_and_then_named() {
    let (stub, summary, _) = fleet(|stub| stub.plan().phase = "failed").await;
    let summary = summary.unwrap();
    let text = summary.to_string();
    assert!(text.starts_with("0 ready, 1 failed\n  sim-4242-001  in joining: join_failed: no quorum"), "{text}");
    assert!(!summary.is_success());
    let rebuilds = stub.seen("/api/hosts/1/rebuild");
    assert_eq!(rebuilds.len(), 2);
    assert!(rebuilds[1].body.contains("\"confirm\":\"sim-4242-001\""));
}

#[tokio::test]
async fn a_refusal_of_the_server_ends_the_fleet_with_its_words() {
    let (_, summary, _) = fleet(|stub| stub.plan().phase = "refused").await;
    let said = summary.unwrap_err().to_string();
    assert_eq!(said, "the server refused /api/hosts with 422: no such server type");
}
