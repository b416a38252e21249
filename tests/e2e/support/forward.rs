//! A forward proxy, as an office has one: it takes CONNECT, requests with the whole address, and SOCKS 5, and writes down
//! where they lead.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// It ends with this.
pub struct Forward {
    address: SocketAddr,
    passed: Arc<Mutex<Vec<String>>>,
    _listener: AbortOnDropHandle<()>,
}

impl Forward {
    /// One that lets in everybody, or, over HTTP, those who say who they are: `user:password`.
    pub async fn start(known: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, passed) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let proof = known.map(|it| format!("proxy-authorization: basic {}", BASE64.encode(it.as_bytes())));
        let noted = passed.clone();
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                let (proof, noted) = (proof.clone(), noted.clone());
                // Either side may go at any time.
                tokio::spawn(async move { serve(client, proof, &noted).await.ok() });
            }
        };
        Self { address, passed, _listener: AbortOnDropHandle::new(tokio::spawn(accept)) }
    }

    /// `http://127.0.0.1:<port>`, or with another scheme, and perhaps a user: `http://user:password@`.
    pub fn url(&self, before_address: &str) -> String {
        format!("{before_address}{}", self.address)
    }

    /// What passed so far: `CONNECT <host>:<port>`, `HTTP <host>:<port>`, `SOCKS <host>:<port>`.
    pub fn passed(&self) -> Vec<String> {
        self.passed.lock().unwrap().clone()
    }

    /// How much of that led to an address, such as `https://127.0.0.1:6443`.
    pub fn to(&self, address: &str) -> usize {
        let authority = address.split("://").last().unwrap().trim_end_matches('/');
        self.passed().iter().filter(|it| it.ends_with(&format!(" {authority}"))).count()
    }
}

async fn serve(
    mut client: TcpStream,
    proof: Option<String>,
    noted: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let note = |how: &str, to: &str| noted.lock().unwrap().push(format!("{how} {to}"));
    let mut first = [0];
    client.peek(&mut first).await?;
    if first == [5] {
        let target = greet(&mut client).await?;
        note("SOCKS", &target);
        let mut server = TcpStream::connect(&target).await?;
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    let head = head(&mut client).await?;
    let (first, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_known = |proof: &String| headers.lines().any(|line| line.eq_ignore_ascii_case(proof));
    if !proof.as_ref().is_none_or(is_known) {
        let refusal =
            "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return client.write_all(refusal.as_bytes()).await;
    }
    if method == "CONNECT" {
        note("CONNECT", target);
        let mut server = TcpStream::connect(target).await?;
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    let Some((authority, path)) = target.strip_prefix("http://").and_then(|rest| rest.split_once('/')) else {
        return client.write_all(b"HTTP/1.1 400 No Proxy Request\r\nconnection: close\r\n\r\n").await;
    };
    note("HTTP", authority);
    let mut server = TcpStream::connect(authority).await?;
    // One request a connection: the next would have another first line to write anew.
    let mut sent = first.replacen(target, &format!("/{path}"), 1);
    sent += "\r\nconnection: close\r\n";
    let by_hop = ["connection:", "proxy-authorization:"];
    for line in
        headers.lines().filter(|line| !by_hop.iter().any(|it| line.to_ascii_lowercase().starts_with(it)))
    {
        sent += &format!("{line}\r\n");
    }
    server.write_all(sent.as_bytes()).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// A request's first lines, to the empty one.
async fn head(client: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Where a client of SOCKS 5 wants to go: <https://www.rfc-editor.org/rfc/rfc1928>.
async fn greet(client: &mut TcpStream) -> std::io::Result<String> {
    let [_, methods] = [client.read_u8().await?, client.read_u8().await?];
    client.read_exact(&mut vec![0; methods.into()]).await?;
    client.write_all(&[5, 0]).await?;
    let mut asked = [0; 4];
    client.read_exact(&mut asked).await?;
    let host = match asked[3] {
        1 => std::net::Ipv4Addr::from(client.read_u32().await?).to_string(),
        4 => format!("[{}]", std::net::Ipv6Addr::from(client.read_u128().await?)),
        _ => {
            let length = client.read_u8().await?;
            let mut name = vec![0; length.into()];
            client.read_exact(&mut name).await?;
            String::from_utf8_lossy(&name).into_owned()
        }
    };
    Ok(format!("{host}:{}", client.read_u16().await?))
}
