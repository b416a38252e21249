//! Prices are assumptions, and whoever asks may know better.

use clap::Args;

use crate::stack::forecast::price::Prices;

/// The list prices of us-east-1 in 2026, unless said otherwise.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Priced {
    /// US dollars for an OpenSearch compute unit, an hour.
    #[arg(long, value_name = "USD", default_value_t = Prices::LIST.ocu_hour)]
    price_ocu_hour: f64,

    /// US dollars for a gigabyte in S3, a month.
    #[arg(long, value_name = "USD", default_value_t = Prices::LIST.gb_month)]
    price_gb_month: f64,

    /// US dollars for a customer key, a month.
    #[arg(long, value_name = "USD", default_value_t = Prices::LIST.key_month)]
    price_key_month: f64,

    /// US dollars for a gigabyte in S3 Vectors, a month.
    #[arg(long, value_name = "USD", default_value_t = Prices::LIST.vector_gb_month)]
    price_vector_gb_month: f64,

    /// US dollars for a gigabyte that is put into S3 Vectors.
    #[arg(long, value_name = "USD", default_value_t = Prices::LIST.vector_gb_put)]
    price_vector_gb_put: f64,
}

impl From<Priced> for Prices {
    fn from(priced: Priced) -> Self {
        let Priced {
            price_ocu_hour: ocu_hour,
            price_gb_month: gb_month,
            price_key_month: key_month,
            price_vector_gb_month: vector_gb_month,
            price_vector_gb_put: vector_gb_put,
        } = priced;
        Prices { ocu_hour, gb_month, key_month, vector_gb_month, vector_gb_put }
    }
}
