#pragma once
/* Numbers as CBOR byte strings of fixed width, big endian: deterministic, and of one length whatever the value. */
#include "wire/cbor.h"

/* 1, 4 and 8 bytes. Reading: BULLA_E_FORMAT for another length. */
void bulla_fixed_wr_u8(bulla_wr *w, uint8_t value);
void bulla_fixed_wr_u32(bulla_wr *w, uint32_t value);
void bulla_fixed_wr_u64(bulla_wr *w, uint64_t value);
BULLA_CHECK bulla_rc bulla_fixed_rd_u8(bulla_cbor_rd *r, uint8_t *ret);
BULLA_CHECK bulla_rc bulla_fixed_rd_u32(bulla_cbor_rd *r, uint32_t *ret);
BULLA_CHECK bulla_rc bulla_fixed_rd_u64(bulla_cbor_rd *r, uint64_t *ret);

/* Head of an array of exactly count items whose first is this version; BULLA_E_VERSION for another one. */
BULLA_CHECK bulla_rc bulla_fixed_rd_version(bulla_cbor_rd *r, size_t count, uint64_t version);

/* A byte string whose size is a multiple of unit, at most max units. */
BULLA_CHECK bulla_rc bulla_fixed_rd_list(bulla_cbor_rd *r, size_t unit, size_t max, bulla_bytes *ret);
