//! The inventory adapter against an HTTP service on loopback: the port's contract, the request byte by byte, and
//! what templates and answers may not do.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

mod service;

use std::time::Instant;

use provisioning_adapters::infrastructure::{InfrastructureClient, InfrastructureConfig, InfrastructureFault, Method};
use provisioning_core::model::{HostId, OperationId, Secret, Timestamp};
use provisioning_core::ports::{Inventory, InventoryRecord, Retry};
use serde_json::{Value, json};
use service::Service;

fn record() -> InventoryRecord {
    let at = Timestamp::from_millis(1_700_000_000_000);
    InventoryRecord {
        host: HostId::new(at, [1; 10]),
        operation: OperationId::new(at, [2; 10]),
        hardware_id: Some("4c4c4544-0031-4b10-8052-b4c04f4e3532".parse().unwrap()),
        hostname: "pve-07".parse().unwrap(),
        fqdn: "pve-07.lab.example".parse().unwrap(),
        ip: "10.0.0.7".parse().unwrap(),
        macs: vec!["52:54:00:12:34:56".parse().unwrap(), "52:54:00:12:34:57".parse().unwrap()],
        server_type: "gpu-large".parse().unwrap(),
        gpu: None,
    }
}

fn client(config: &InfrastructureConfig) -> InfrastructureClient {
    InfrastructureClient::new(config).expect("the configuration is good")
}

/// A configuration whose templates are as `change` makes them.
fn fault(change: impl FnOnce(&mut InfrastructureConfig)) -> InfrastructureFault {
    let mut config = InfrastructureConfig::new("http://127.0.0.1:1");
    change(&mut config);
    InfrastructureClient::new(&config).expect_err("the configuration is faulty")
}

provisioning_core::inventory_conformance!(Service::start().await);

#[tokio::test]
async fn the_default_request_is_the_documented_one() {
    let service = Service::start().await;
    client(&InfrastructureConfig::new(format!("{}/inventory/", service.url()))).register(&record()).await.unwrap();
    let [request] = service.requests().try_into().expect("one request came");
    assert_eq!(request.line, "PUT /inventory/api/hosts/4c4c4544-0031-4b10-8052-b4c04f4e3532");
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("idempotency-key"), "4c4c4544-0031-4b10-8052-b4c04f4e3532");
    let expected = r#"{
  "key": "4c4c4544-0031-4b10-8052-b4c04f4e3532",
  "hostname": "pve-07",
  "fqdn": "pve-07.lab.example",
  "ip": "10.0.0.7",
  "macs": ["52:54:00:12:34:56","52:54:00:12:34:57"],
  "server_type": "gpu-large",
  "gpu": null,
  "host_id": "018bcfe5-6800-7101-8101-010101010101",
  "operation_id": "018bcfe5-6800-7202-8202-020202020202"
}"#;
    assert_eq!(request.body, expected);
}

#[tokio::test]
async fn a_host_without_hardware_id_goes_by_its_own_id() {
    let service = Service::start().await;
    let record = InventoryRecord { hardware_id: None, ..record() };
    client(&InfrastructureConfig::new(service.url())).register(&record).await.unwrap();
    assert_eq!(service.requests()[0].line, format!("PUT /api/hosts/{}", record.host));
    assert_eq!(service.requests()[0].header("idempotency-key"), record.host.to_string());
}

#[tokio::test]
async fn another_service_needs_templates_only() {
    let service = Service::start().await;
    let mut config = InfrastructureConfig::new(service.url());
    config.method = "POST".parse().unwrap();
    config.path = "/v2/machines?name={{ fqdn }}&kind={{ gpu }}".to_owned();
    config.headers = vec![
        ("X-Api-Key".to_owned(), Secret::new("s3cret of {{ hostname }}".to_owned())),
        ("content-type".to_owned(), Secret::new("application/vnd.inventory+json".to_owned())),
    ];
    config.body = Some(
        r#"{"label": "{{ hostname | upper }}/{{ gpu }}", "class": "{{ server_type }}",
            "nics": [{% for mac in macs %}{"mac": "{{ mac }}"}{% if not loop.last %},{% endif %}{% endfor %}],
            "accelerated": {% if gpu %}true{% else %}false{% endif %}}"#
            .to_owned(),
    );
    config.server_type_map = [("gpu-large".parse().unwrap(), "GPU (large)".to_owned())].into();
    let record = InventoryRecord { gpu: Some("2 × \"A\\100\"/&".to_owned()), ..record() };
    client(&config).register(&record).await.unwrap();
    let [request] = service.requests().try_into().expect("one request came");
    assert_eq!(request.line, "POST /v2/machines?name=pve-07.lab.example&kind=2%20%C3%97%20%22A%5C100%22%2F%26");
    assert_eq!(request.header("x-api-key"), "s3cret of pve-07");
    assert_eq!(request.header("content-type"), "application/vnd.inventory+json");
    let expected = json!({
        "label": "PVE-07/2 × \"A\\100\"/&",
        "class": "GPU (large)",
        "nics": [{"mac": "52:54:00:12:34:56"}, {"mac": "52:54:00:12:34:57"}],
        "accelerated": true,
    });
    assert_eq!(serde_json::from_str::<Value>(&request.body).unwrap(), expected);
}

#[tokio::test]
async fn hostile_values_stay_inside_their_json_strings() {
    let service = Service::start().await;
    let hostile =
        ["\",\"admin\":true,\"x\":\"", "\\", "\\\"", "a\nb\r\t\0", "{{ key }}{% endif %}", "</script>\u{2028}'"];
    let body = r#"{"quoted": "{{ gpu }}", "insisted": "{{ gpu | safe }}", "whole": {{ gpu | json }}}"#;
    let config = InfrastructureConfig { body: Some(body.to_owned()), ..InfrastructureConfig::new(service.url()) };
    for gpu in hostile {
        let record = InventoryRecord { gpu: Some(gpu.to_owned()), ..record() };
        client(&config).register(&record).await.unwrap();
        let sent: Value = serde_json::from_str(&service.requests().pop().unwrap().body).unwrap();
        assert_eq!(sent, json!({"quoted": gpu, "insisted": gpu, "whole": gpu}));
    }
}

#[test]
fn a_name_that_would_break_out_of_a_header_is_found_at_construction() {
    let fault = fault(|config| {
        config.headers = vec![("x-class".to_owned(), Secret::new("{{ server_type }}".to_owned()))];
        config.server_type_map = [("gpu-large".parse().unwrap(), "a\r\nx-admin: yes".to_owned())].into();
    });
    assert!(matches!(&fault, InfrastructureFault::Header { name, .. } if name == "x-class"), "{fault}");
}

#[test]
fn faulty_templates_are_found_at_construction_with_their_place() {
    let cases: [(&str, &str, usize); 6] = [
        ("{\n\"a\": {{ nope }}}", "nope", 2),
        ("{\n\n\"a\": {{ gpu | nofilter }}}", "nofilter", 3),
        ("{% if gpu %}", "", 1),
        ("{\"a\": \"{{ hostname }}", "not JSON", 1),
        ("{\"a\":\n {{ gpu }}}", "not JSON", 2),
        ("{\"a\": {{ macs }}}", "not JSON", 1),
    ];
    for (body, says, at) in cases {
        match fault(|config| config.body = Some(body.to_owned())) {
            InfrastructureFault::Template { part, line, problem } => {
                assert_eq!((part.as_str(), line), ("body", at), "{body}: {problem}");
                assert!(problem.contains(says), "{body}: {problem}");
            }
            other => panic!("{body}: {other}"),
        }
    }
    for path in ["{{ nope }}", "hosts/{{ key }}", "/a b", "/a\n", "/{{ key | json }}", "/#{{ key }}"] {
        let fault = fault(|config| config.path = path.to_owned());
        assert!(matches!(&fault, InfrastructureFault::Template { part, .. } if part == "path"), "{path}: {fault}");
    }
}

#[test]
fn no_fault_and_no_debug_tells_a_header_value() {
    for value in ["hunter2 {{ hunter2 }}", "hunter2 {{", "hunter2 {% hunter2 %}", "hunter2 \u{e9}", "hunter2\n"] {
        let fault = fault(|config| config.headers = vec![("x-key".to_owned(), Secret::new(value.to_owned()))]);
        assert!(fault.to_string().contains("headers.x-key"), "{fault}");
        assert!(!format!("{fault} {fault:?}").contains("hunter2"), "{fault:?}");
    }
    let mut config = InfrastructureConfig::new("http://127.0.0.1:1");
    config.headers = vec![("x-key".to_owned(), Secret::new("hunter2".to_owned()))];
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!format!("{:?}", client(&config)).contains("hunter2"));
}

#[test]
fn other_faults_name_the_key_and_what_to_write() {
    for url in ["", "inventory", "ftp://a", "http://user:pw@a", "http://a?x=1", "http://a#b", "unix:/run/x"] {
        let fault = fault(|config| config.base_url = url.to_owned());
        assert!(fault.to_string().starts_with("infrastructure.base_url "), "{url}: {fault}");
        assert!(!fault.to_string().contains("pw"), "{fault}");
    }
    for pem in ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let fault = fault(|config| config.ca_pem = Some(pem.to_owned()));
        assert!(
            matches!(fault, InfrastructureFault::Ca { .. } | InfrastructureFault::Client { .. }),
            "{pem:?}: {fault:?}"
        );
    }
    assert!("GET".parse::<Method>().unwrap_err().to_string().contains("PUT, POST and PATCH"));
    let fault = fault(|config| config.headers = vec![("not a name".to_owned(), Secret::new(String::new()))]);
    assert_eq!(fault.to_string(), "infrastructure.headers.not a name: its name is none that HTTP allows");
}

#[tokio::test]
async fn answers_are_judged_by_their_status() {
    let service = Service::start().await;
    let mut config = InfrastructureConfig::new(service.url());
    let cases = [
        (200, None),
        (201, None),
        (204, None),
        (301, Some(Retry::Never)),
        (400, Some(Retry::Never)),
        (401, Some(Retry::Never)),
        (404, Some(Retry::Never)),
        (408, Some(Retry::Later)),
        (409, Some(Retry::Never)),
        (422, Some(Retry::Never)),
        (425, Some(Retry::Later)),
        (429, Some(Retry::Later)),
        (500, Some(Retry::Later)),
        (503, Some(Retry::Later)),
    ];
    let plain = client(&config);
    config.conflict_means_known = true;
    let lenient = client(&config);
    for (status, retry) in cases {
        service.answers(status, "");
        assert_eq!(plain.register(&record()).await.err().map(|e| e.retry), retry, "{status}");
        let retry = if status == 409 { None } else { retry };
        assert_eq!(lenient.register(&record()).await.err().map(|e| e.retry), retry, "{status}, lenient");
    }
}

#[tokio::test]
async fn a_refusal_is_told_short_in_one_line_and_without_our_secrets() {
    let service = Service::start().await;
    let mut config = InfrastructureConfig::new(service.url());
    config.headers = vec![("Authorization".to_owned(), Secret::new("Bearer 0123456789abcdef".to_owned()))];
    let client = client(&config);
    service.answers(403, &format!("no:\n token 0123456789abcdef\u{1b}[31m is bad {}", "x".repeat(100_000)));
    let error = client.register(&record()).await.unwrap_err();
    let begin = "403 Forbidden: no: token *** [31m is bad xxx";
    assert!(error.said.starts_with(begin), "{}", error.said);
    assert_eq!(error.said.chars().count(), "403 Forbidden: ".len() + 300);
    service.answers(401, "");
    assert_eq!(client.register(&record()).await.unwrap_err().said, "401 Unauthorized");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let service = Service::start().await;
    service.answers(302, "");
    let error = client(&InfrastructureConfig::new(service.url())).register(&record()).await.unwrap_err();
    assert_eq!(service.requests().len(), 1);
    assert!(error.said.contains("/elsewhere"), "{}", error.said);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_tried_later() {
    let service = Service::start().await;
    let config = InfrastructureConfig::new(service.url());
    service.stop().await;
    let began = Instant::now();
    let error = client(&config).register(&record()).await.unwrap_err();
    assert_eq!((error.retry, error.said.as_str()), (Retry::Later, "no connection to it could be made"));
    assert!(error.source.is_some());
    assert!(began.elapsed() < config.timeout);
}
