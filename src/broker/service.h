#pragma once
/* What the broker serves on a connection, by who speaks there. */
#include "broker/conn.h"

/* On the unix socket; own: the caller is the broker's own user, or root. Whoever may connect to it gets keys, may put a manifest
 * that its approvers signed, may revoke what he may revoke; the host, and who wants evidence anew of everybody, is the
 * broker's user. BULLA_E_ADMIN. */
BULLA_CHECK bulla_rc bulla_broker_admin_check(uint8_t op, bool is_host, bool own);

/* One operation: its own errors become error replies, a returned one ends the connection. */
BULLA_CHECK bulla_rc bulla_host_service(struct bulla_conn *conn, const struct bulla_frame *request);
BULLA_CHECK bulla_rc bulla_instance_service(struct bulla_conn *conn, const struct bulla_frame *request);

/* Bytes of a KMS connection: takes whole requests off conn->http, one at a time. */
BULLA_CHECK bulla_rc bulla_kms_service(struct bulla_conn *conn);
