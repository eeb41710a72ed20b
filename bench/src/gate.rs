//! The gate behind a real nginx, beside the same nginx with nobody to ask.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use countermand::app::App;
use countermand::clock::{RandomIds, SystemClock};
use countermand::config::Config;
use countermand::serve;
use tokio::net::TcpListener;

use crate::rows::{Figure, Row};
use crate::tools::{find, free_port, start, wrk};

const SECRET: &str = "bench";
const RUNS: usize = 3;

const NGINX: &str = r#"
daemon off; pid nginx.pid; error_log stderr crit; worker_processes 1;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include countermand-http.conf;
    server { listen 127.0.0.1:@ALONE@; location / { return 204; } }
    # With a question, nginx answers content but no bare `return`: that would come before the question.
    server { listen 127.0.0.1:@ASKING@; include countermand.conf; location / { proxy_pass http://127.0.0.1:@ALONE@; } }
    server { listen 127.0.0.1:@PROXY@; location / { proxy_pass http://127.0.0.1:@ALONE@; } }
    # The same question, answered by nginx itself: what asking costs without us.
    server {
        listen 127.0.0.1:@NULL@;
        auth_request /_nobody;
        location = /_nobody { internal; auth_request off; proxy_pass http://127.0.0.1:@ALONE@; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
        location / { proxy_pass http://127.0.0.1:@ALONE@; }
    }
}
"#;

const HTTP: &str = include_str!("../../deploy/nginx/countermand-http.conf");
const SERVER: &str = include_str!("../../deploy/nginx/countermand.conf");

/// ActiveSync requests of one known device through nginx.
pub async fn through_nginx() -> anyhow::Result<Row> {
    let folder = tempfile::tempdir()?;
    let mut config = Config::default();
    config.gate.secret = SECRET.to_owned();
    let app = App::open(
        config,
        folder.path(),
        Arc::new(SystemClock),
        Arc::new(RandomIds),
    )
    .await?;
    let gate = serve::gates(&app);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let gate_port = listener.local_addr()?.port();
    let listener = axum::serve::ListenerExt::tap_io(listener, |tcp| {
        let _ = tcp.set_nodelay(true);
    });
    tokio::spawn(gate.clone().keep_recording());
    tokio::spawn(app.live.clone().keep_following());
    tokio::spawn(axum::serve(listener, countermand::gate::router(gate)).into_future());

    let ports = [free_port()?, free_port()?, free_port()?, free_port()?];
    let main = NGINX
        .replace("@ALONE@", &ports[0].to_string())
        .replace("@ASKING@", &ports[1].to_string())
        .replace("@PROXY@", &ports[2].to_string())
        .replace("@NULL@", &ports[3].to_string());
    std::fs::write(folder.path().join("nginx.conf"), main)?;
    std::fs::write(
        folder.path().join("countermand-http.conf"),
        HTTP.replace("127.0.0.1:8420", &format!("127.0.0.1:{gate_port}")),
    )?;
    std::fs::write(
        folder.path().join("countermand.conf"),
        SERVER.replace("CHANGE-ME", SECRET),
    )?;
    let mut nginx = Command::new(find("nginx")?);
    nginx
        .arg("-p")
        .arg(folder.path())
        .arg("-c")
        .arg(folder.path().join("nginx.conf"));
    let _nginx = start(&mut nginx, ports[0]).await?;

    let path = "/Microsoft-Server-ActiveSync?Cmd=Sync&User=ann%40example.test&DeviceId=PHONE000001&DeviceType=iPhone";
    let headers = [("MS-ASProtocolVersion", "14.1")];
    let mut runs = [const { Vec::new() }; 4];
    // Turn by turn, so that a busy moment of the machine touches all alike.
    for _ in 0..RUNS {
        for (port, runs) in ports.iter().zip(&mut runs) {
            runs.push(wrk(*port, path, &headers).await?);
        }
    }
    let [alone, asking, proxy, null] = runs.map(Figure::of);
    Ok(Row {
        work: "gate-nginx",
        unit: "requests/s",
        more_is_better: true,
        ours: asking,
        peers: BTreeMap::from([
            ("nginx return 204", alone),
            ("nginx proxy alone", proxy),
            ("nginx asking nginx", null),
        ]),
        bars: Vec::new(),
    })
}
