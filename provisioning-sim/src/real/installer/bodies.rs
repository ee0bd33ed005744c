//! What the installer tells the server, as each release writes it.

use provisioning_core::model::Release;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{LiveSystem, Target};
use crate::real::answer::{InstallPlan, RebootMode};
use crate::real::host::{Hardware, SshHostKeys};

/// The body of the request for an answer, schema 1.0 (`reference/fetch-answer.md`, Body schema).
pub fn answer_request_body(live: &LiveSystem, hardware: &Hardware) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body {
        #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
        schema: Option<Value>,
        product: Value,
        iso: Value,
        dmi: Value,
        network_interfaces: Vec<Value>,
    }
    let upper = live.release >= Release::new(9, 2);
    let nic = |nic: &crate::real::host::Nic| {
        let mac = nic.mac.to_string();
        json!({ "link": nic.link, "mac": if upper { mac.to_uppercase() } else { mac } })
    };
    let body = Body {
        schema: (live.release >= Release::new(8, 3)).then(|| json!({ "version": "1.0" })),
        product: json!({
            "fullname": live.product_long, "product": live.product, "enable_btrfs": live.product == "pve",
        }),
        iso: json!({ "release": live.release.to_string(), "isorelease": live.iso_release }),
        dmi: dmi(hardware),
        network_interfaces: hardware.nics.iter().map(nic).collect(),
    };
    serde_json::to_vec(&body).expect("values made of text and numbers are JSON")
}

/// The body of the report after the installation: schema 1.0 with 8.3, 1.1 with 8.4 and 9.0, 1.2 from 9.1 on
/// (`reference/post-hook.md`, JSON schema).
pub fn webhook_body(
    live: &LiveSystem,
    hardware: &Hardware,
    plan: &InstallPlan,
    target: &Target,
    keys: &SshHostKeys,
) -> Vec<u8> {
    let schema = match live.release {
        release if release >= Release::new(9, 1) => "1.2",
        release if release >= Release::new(8, 4) => "1.1",
        _ => "1.0",
    };
    let mut body = json!({
        "$schema": { "version": schema },
        "debian-version": if live.release >= Release::new(9, 0) { "13.1" } else { "12.11" },
        "product": {
            "fullname": live.product_long, "short": live.product, "version": format!("{}.3", live.release),
        },
        "iso": { "release": live.release.to_string(), "isorelease": live.iso_release },
        "kernel-version": {
            "sysname": "Linux", "release": "6.14.0-5-pve", "machine": "x86_64",
            "version": "#1 SMP PREEMPT_DYNAMIC simulated",
        },
        "boot-info": { "mode": if hardware.uefi { "efi" } else { "bios" } },
        "cpu-info": {
            "cores": 16, "cpus": 32, "flags": "fpu vme de vmx", "hvm": true, "model": "Simulated Processor", "sockets": 1,
        },
        "dmi": dmi(hardware),
        "filesystem": filesystem(plan),
        "fqdn": target.fqdn,
        "machine-id": hardware.uuid.replace('-', ""),
        "disks": disks(hardware, target),
        "network-interfaces": nics(live, hardware, target),
        "ssh-public-host-keys": { "ed25519": keys.ed25519, "ecdsa": keys.ecdsa, "rsa": keys.rsa },
    });
    if schema != "1.0" {
        let mode = if plan.reboot_mode == RebootMode::PowerOff { "power-off" } else { "reboot" };
        body["reboot-mode"] = mode.into();
    }
    if let Some(token) = plan.webhook.as_ref().and_then(|webhook| webhook.token.as_ref()) {
        body["token"] = token.as_str().into();
    }
    serde_json::to_vec(&body).expect("values made of text and numbers are JSON")
}

fn dmi(hardware: &Hardware) -> Value {
    json!({
        "system": { "serial": hardware.serial, "sku": "", "uuid": hardware.uuid, "name": "Simulated Server" },
        "baseboard": { "asset_tag": "", "serial": "Default string", "name": "SIM-1" },
        "chassis": { "serial": "", "sku": "To be filled by O.E.M.", "asset_tag": "" },
    })
}

fn filesystem(plan: &InstallPlan) -> String {
    match &plan.disks.raid {
        Some(raid) => format!("{} ({})", plan.disks.filesystem, raid.to_uppercase()),
        None => plan.disks.filesystem.clone(),
    }
}

/// Every disk is listed with the configured size of the boot disk.
fn disks(hardware: &Hardware, target: &Target) -> Vec<Value> {
    let entry = |disk: &crate::real::host::Disk| {
        let properties: Map<String, Value> =
            disk.properties.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        let mut entry = json!({ "size": target.hdsize_bytes, "udev-properties": properties });
        if target.disks.contains(&disk.name) {
            entry["is-bootdisk"] = true.into();
        }
        entry
    };
    hardware.disks.iter().map(entry).collect()
}

fn nics(live: &LiveSystem, hardware: &Hardware, target: &Target) -> Vec<Value> {
    let entry = |nic: &crate::real::host::Nic| {
        let properties: Map<String, Value> =
            nic.properties().into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        let mut entry = json!({ "mac": nic.mac.to_string(), "udev-properties": properties });
        if live.release >= Release::new(9, 1) {
            entry["name"] = nic.link.as_str().into();
        }
        if nic.link == target.management {
            entry["address"] = target.address.to_string().into();
            entry["is-management"] = true.into();
        }
        entry
    };
    hardware.nics.iter().map(entry).collect()
}
