use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tenantry::cli::Cli::parse().run().await
}
