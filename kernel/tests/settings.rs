//! Per-device settings over netlink, compared with what `/proc/sys` says.

use std::{error::Error, fs};

use futures::TryStreamExt;
use multiwan_kernel::{
    devconf::{self, DeviceSetting},
    neighbour_table::{self, NeighbourSetting},
};
use multiwan_lab::sandbox;
use netlink_packet_route::link::LinkAttribute;
use nix::errno::Errno;
use rtnetlink::{Handle, LinkVeth};

/// A pair of devices in an empty network namespace.
const DEVICE: &str = "mwtest0";
const PEER: &str = "mwtest1";

#[test]
fn settings_agree_with_proc() {
    sandbox::test(|_| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(check()).unwrap();
    });
}

async fn check() -> Result<(), Box<dyn Error>> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    handle
        .link()
        .add(LinkVeth::new(DEVICE, PEER).build())
        .execute()
        .await?;
    let index = index_of(&handle, DEVICE).await?;
    device_settings(&handle, index).await?;
    neighbour_settings(&handle, index).await?;
    handle.link().del(index).execute().await?;
    refusals(&handle, index).await;
    Ok(())
}

async fn index_of(handle: &Handle, name: &str) -> Result<u32, Box<dyn Error>> {
    let links: Vec<_> = handle.link().get().execute().try_collect().await?;
    let wanted = LinkAttribute::IfName(name.into());
    let link = links.iter().find(|link| link.attributes.contains(&wanted));
    Ok(link.ok_or("no such device")?.header.index)
}

/// Each setting over netlink to 1 and back to 0, and by file to 1.
async fn device_settings(handle: &Handle, index: u32) -> Result<(), Box<dyn Error>> {
    for setting in DeviceSetting::ALL {
        let file = format!("/proc/sys/net/ipv4/conf/{DEVICE}/{}", setting.sysctl());
        for value in [1, 0] {
            devconf::set(handle, index, &[(setting, value)]).await?;
            assert_eq!(
                fs::read_to_string(&file)?.trim(),
                value.to_string(),
                "{setting:?}"
            );
            let conf = devconf::read(handle, index).await?.ok_or("no IPv4")?;
            assert_eq!(conf.get(setting), value as i32, "{setting:?}");
        }
        fs::write(&file, "1")?;
        let conf = devconf::read(handle, index).await?.ok_or("no IPv4")?;
        assert_eq!(conf.get(setting), 1, "{setting:?}");
    }
    let several = [
        (DeviceSetting::RpFilter, 2),
        (DeviceSetting::SrcValidMark, 0),
    ];
    devconf::set(handle, index, &several).await?;
    let all = devconf::read_all(handle).await?;
    assert_eq!(all[&index].get(DeviceSetting::RpFilter), 2);
    assert_eq!(all[&index].get(DeviceSetting::SrcValidMark), 0);
    println!(
        "ok: {} device settings agree with /proc/sys",
        DeviceSetting::ALL.len()
    );
    Ok(())
}

/// Each setting over netlink, and what the file says then.
async fn neighbour_settings(handle: &Handle, index: u32) -> Result<(), Box<dyn Error>> {
    for (number, setting) in NeighbourSetting::ALL.into_iter().enumerate() {
        let value = 2000 + 1000 * number as u64;
        neighbour_table::set(handle, index, &[(setting, value)]).await?;
        let file = format!("/proc/sys/net/ipv4/neigh/{DEVICE}/{}", setting.sysctl());
        let unit = if setting == NeighbourSetting::DelayFirstProbeTime {
            1000
        } else {
            1
        };
        let said: u64 = fs::read_to_string(&file)?.trim().parse()?;
        assert_eq!(said * unit, value, "{setting:?}");
        let table = neighbour_table::read(handle).await?;
        assert_eq!(table.devices[&index][&setting], value, "{setting:?}");
    }
    let zero = [
        (NeighbourSetting::McastSolicit, 0),
        (NeighbourSetting::RetransTime, 250),
    ];
    neighbour_table::set(handle, index, &zero).await?;
    let table = neighbour_table::read(handle).await?;
    assert_eq!(table.devices[&index][&NeighbourSetting::McastSolicit], 0);
    let found = table.devices[&index][&NeighbourSetting::RetransTime];
    assert!(NeighbourSetting::RetransTime.agrees(250, found), "{found}");
    println!(
        "ok: {} neighbour settings agree with /proc/sys",
        NeighbourSetting::ALL.len()
    );
    println!(
        "    {} entries, none collected below {}",
        table.entries, table.threshold
    );
    Ok(())
}

/// The device is gone.
async fn refusals(handle: &Handle, index: u32) {
    let error = devconf::set(handle, index, &[(DeviceSetting::RpFilter, 0)])
        .await
        .expect_err("refused");
    println!("    {error}");
    assert_eq!(error.errno(), Some(Errno::ENODEV));
    let settings = [(NeighbourSetting::RetransTime, 250)];
    let error = neighbour_table::set(handle, index, &settings)
        .await
        .expect_err("refused");
    println!("    {error}");
    assert_eq!(error.errno(), Some(Errno::ENOENT));
    println!("ok: refusals name the setting and the device");
}
