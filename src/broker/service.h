#pragma once
/* What the broker serves on a connection, by who speaks there. */
#include "broker/conn.h"

/* One operation: its own errors become error replies, a returned one ends the connection. */
BULLA_CHECK bulla_rc bulla_host_service(struct bulla_conn *conn, const struct bulla_frame *request);
BULLA_CHECK bulla_rc bulla_instance_service(struct bulla_conn *conn, const struct bulla_frame *request);

/* Bytes of a KMS connection: takes whole requests off conn->http, one at a time. */
BULLA_CHECK bulla_rc bulla_kms_service(struct bulla_conn *conn);
