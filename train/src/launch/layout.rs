//! Which ranks this machine holds, and what its processes are told about it.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::str::FromStr;
use std::{fmt, io};

/// Where the processes of all machines meet: rank 0's machine and a port that is free there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl FromStr for Meeting {
    type Err = String;

    /// Reads `HOST:PORT`; an IPv6 address stands in brackets.
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("expected HOST:PORT such as node01:29500, found `{text}`");
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let port = port.parse().ok().filter(|&port| port != 0).ok_or_else(refused)?;
        match bare.unwrap_or(host) {
            "" => Err(refused()),
            host if bare.is_none() && host.contains([':', '/', '[']) => Err(refused()),
            host => Ok(Self { host: host.into(), port }),
        }
    }
}

impl fmt::Display for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// The ranks of this machine among those of all machines, which hold equally many.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Number of processes on each machine.
    pub local_world: usize,
    /// Number of machines.
    pub num_nodes: usize,
    /// This machine, from 0.
    pub node_rank: usize,
    /// Where the processes meet. None is a free port of this machine, another one at every start.
    pub meeting: Option<Meeting>,
}

impl Layout {
    /// Number of processes on all machines.
    pub fn world(&self) -> usize {
        self.local_world * self.num_nodes
    }

    /// The rank over all machines of a process of this one.
    pub fn rank(&self, local_rank: usize) -> usize {
        self.node_rank * self.local_world + local_rank
    }

    /// Where the processes of one start meet.
    ///
    /// # Errors
    /// When this machine has no free port.
    pub fn meet(&self) -> io::Result<Meeting> {
        if let Some(meeting) = &self.meeting {
            return Ok(meeting.clone());
        }
        // Released when dropped: rank 0 binds it a moment later.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = free.local_addr()?;
        Ok(Meeting { host: address.ip().to_string(), port: address.port() })
    }

    /// Tells `command` which process it is, in the variables that torchrun made common, after
    /// `restarts` restarts. What a torchrun around this program said is taken back.
    pub fn tell(&self, command: &mut Command, local_rank: usize, meeting: &Meeting, restarts: u32) {
        command
            .env("RANK", self.rank(local_rank).to_string())
            .env("LOCAL_RANK", local_rank.to_string())
            .env("WORLD_SIZE", self.world().to_string())
            .env("LOCAL_WORLD_SIZE", self.local_world.to_string())
            .env("MASTER_ADDR", &meeting.host)
            .env("MASTER_PORT", meeting.port.to_string())
            .env("VLCLIP_RESTART_COUNT", restarts.to_string())
            .env_remove("TORCHELASTIC_RUN_ID")
            .env_remove("TORCHELASTIC_RESTART_COUNT")
            .env_remove("TORCHELASTIC_USE_AGENT_STORE");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::{Placement, Rendezvous};
    use std::collections::HashMap;

    #[test]
    fn meetings_read_and_print() {
        for (text, host) in
            [("node01:29500", "node01"), ("10.0.0.1:1", "10.0.0.1"), ("[::1]:9", "::1")]
        {
            let meeting: Meeting = text.parse().unwrap();
            assert_eq!((meeting.host.as_str(), meeting.to_string().as_str()), (host, text));
        }
        for text in ["", "node01", ":1", "a:0", "a:65536", "a:b", "::1:9", "tcp://a:1", "[]:1"] {
            let error = text.parse::<Meeting>().unwrap_err();
            assert!(error.contains(&format!("found `{text}`")), "{error}");
        }
    }

    #[test]
    fn what_a_process_is_told_is_what_it_reads() {
        let meeting: Meeting = "n0:4000".parse().unwrap();
        let layout =
            Layout { local_world: 4, num_nodes: 2, node_rank: 1, meeting: Some(meeting.clone()) };
        let mut command = Command::new("true");
        layout.tell(&mut command, 2, &layout.meet().unwrap(), 3);
        let told: HashMap<_, _> = command.get_envs().collect();
        let read = |name: &str| {
            let value = told.get(std::ffi::OsStr::new(name)).copied().flatten()?;
            Some(value.to_str().unwrap().to_owned())
        };
        let at = Rendezvous {
            host: meeting.host,
            port: meeting.port,
            agent_store: false,
            generation: "3".into(),
        };
        let expected = Placement {
            rank: 6,
            local_rank: 2,
            world: 8,
            local_world: Some(4),
            rendezvous: Some(at),
            source: "environment",
        };
        assert_eq!(Placement::detect(read), Ok(expected));
        // Taken back, even if it is set around this program.
        assert_eq!(told.get(std::ffi::OsStr::new("TORCHELASTIC_USE_AGENT_STORE")), Some(&None));
    }

    #[test]
    fn one_machine_finds_a_free_port_each_time() {
        let layout = Layout { local_world: 2, num_nodes: 1, node_rank: 0, meeting: None };
        let meeting = layout.meet().unwrap();
        assert_eq!(meeting.host, "127.0.0.1");
        TcpListener::bind((meeting.host.as_str(), meeting.port)).unwrap();
    }
}
