pub mod smtp_record;
