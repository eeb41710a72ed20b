//! A look at the relay that leaves no mail there.

use super::config::SmtpConfig;
use super::connect::connect;
use super::wire::COMMAND_TIMEOUT;
use crate::outbox::transport::OpenError;

/// Connects, encrypts and signs in as a session does, asks whether the relay takes mail from that sender, and
/// takes the question back.
pub async fn greet(config: &SmtpConfig, sender: &str) -> Result<(), OpenError> {
    let mut link = connect(config).await?;
    let step = "MAIL FROM";
    let lost = |why: super::wire::Lost| OpenError::Lost {
        relay: config.relay(),
        step,
        detail: why.to_string(),
    };
    let line = format!("MAIL FROM:<{sender}>\r\n");
    link.wire.send(line.as_bytes()).await.map_err(lost)?;
    let reply = link.wire.reply(COMMAND_TIMEOUT).await.map_err(lost)?;
    // Whatever it answers now, it has no mail of ours.
    let _ = link.wire.send(b"RSET\r\n").await;
    let _ = link.wire.reply(COMMAND_TIMEOUT).await;
    let _ = link.wire.send(b"QUIT\r\n").await;
    let _ = link.wire.reply(COMMAND_TIMEOUT).await;
    if reply.is_done() {
        return Ok(());
    }
    Err(OpenError::Refused {
        relay: config.relay(),
        step,
        code: reply.code,
        answer: reply.to_string(),
    })
}
