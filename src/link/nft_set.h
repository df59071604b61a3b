/*
 * Elements of an nftables set that change while frames flow, by nfnetlink
 * (linux/netfilter/nf_tables.h), for a process that has nothing else: no
 * library, no file, one socket. Tables of the netdev family.
 *
 * Negative errno: -ENOENT, no such table or set; -ENFILE, the set is full.
 */
#ifndef LINK_NFT_SET_H
#define LINK_NFT_SET_H

#include <stddef.h>
#include <stdint.h>

#define NFT_SET_KEY_MAX 16 /* bytes */

/* A socket, the caller's to close. */
int nft_set_open(void);
/*
 * The key is there from now on, for so many ms, 0: until it is taken away. It
 * may have been there, and is at each moment then.
 */
int nft_set_put(int sock, const char *table, const char *set,
    const uint8_t *key, size_t n, uint64_t ms);
/* 0 as well if it was not there. */
int nft_set_take(
    int sock, const char *table, const char *set, const uint8_t *key, size_t n);

#endif
