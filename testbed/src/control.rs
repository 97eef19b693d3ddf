//! The emulator's control socket: QMP, one JSON value per line
//! (QEMU, `docs/interop/qmp-spec.rst`).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::failure::Failure;

/// The control socket.
pub struct Control {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Control {
    /// Takes over the connected socket.
    ///
    /// # Errors
    /// The other end does not speak QMP.
    pub fn new(socket: UnixStream) -> Result<Self, Failure> {
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut control = Self {
            writer: socket.try_clone()?,
            reader: BufReader::new(socket),
        };
        let mut greeting = String::new();
        control.reader.read_line(&mut greeting)?;
        control.command(r#"{"execute":"qmp_capabilities"}"#)?;
        Ok(control)
    }

    /// Runs one command and gives its result.
    ///
    /// # Errors
    /// The emulator refuses it or does not answer.
    pub fn command(&mut self, command: &str) -> Result<serde_json::Value, Failure> {
        self.writer.write_all(command.as_bytes())?;
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(Failure::new(format!("no answer to {command}")));
            }
            let mut answer: serde_json::Value = serde_json::from_str(&line)
                .map_err(|error| Failure::new(format!("'{line}': {error}")))?;
            if answer.get("error").is_some() {
                return Err(Failure::new(format!("{command}: {line}")));
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
        }
    }

    /// The path of a device in the object tree: `device` itself if it is a path, else the
    /// first unnamed device of that type.
    ///
    /// # Errors
    /// There is no such device.
    pub fn resolve(&mut self, device: &str) -> Result<String, Failure> {
        if device.starts_with('/') {
            return Ok(device.to_owned());
        }
        let folder = "/machine/unattached";
        let listed = self.command(&format!(
            r#"{{"execute":"qom-list","arguments":{{"path":"{folder}"}}}}"#
        ))?;
        let expected = format!("child<{device}>");
        listed
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["type"] == expected.as_str())
            .and_then(|entry| entry["name"].as_str())
            .map(|name| format!("{folder}/{name}"))
            .ok_or_else(|| Failure::new(format!("the emulator has no {device}")))
    }
}
