/* Uploads that survive cuts: a party's bytes go to a file piece by piece, and go on where they stopped. The scheme is
 * in docs/design/net.md: GET asks for the offset, PUT with Content-Range appends, the last piece brings the hash of
 * all. */
#ifndef MSFL_NET_SPOOL_H
#define MSFL_NET_SPOOL_H

#include "base/sodium.h"
#include "net/server.h"

enum { NET_SEGMENT_BYTES = 8 << 20, NET_SPOOL_OPEN_MAX = 256, NET_KEY_MAX = 128 };

typedef struct net_spool net_spool;

/** A complete upload: it lies in `path` and is the callee's to move or delete. A failure is answered to the party, and
 *  the upload counts as complete all the same. It is called at most once for a file, and not at all if the process dies
 *  right after the last byte: whoever starts a spool looks for KEY.whole files that nobody took. */
typedef struct net_spool_hooks {
    msfl_status (*complete)(void *ctx, const pki_peer *peer, const char *key, const char *path, uint64_t length,
                            const uint8_t hash[MSFL_HASH_BYTES]);
    void *ctx;
} net_spool_hooks;

typedef struct net_spool_options {
    const char *folder;        /**< FOLDER/PEER/KEY.part while it grows, KEY.whole when complete */
    uint64_t bytes_max;        /**< of one upload */
    uint32_t uploads_peer_max; /**< unfinished ones of one party */
    net_spool_hooks hooks;     /**< complete may be NULL */
    /** What a request's upload is called (NET_KEY_MAX characters of a path's segment), or a refusal of it; NULL: what
     *  stands for the pattern's one {key}. */
    msfl_status (*key)(void *ctx, net_request *request, char key[NET_KEY_MAX + 1]);
} net_spool_options;

msfl_status net_spool_new(const net_spool_options *options, net_spool **out) MSFL_NODISCARD;
void net_spool_free(net_spool *spool);

/** Three routes for one pattern with one {key}: ask, send, discard. `routes` holds 3. */
void net_spool_routes(net_spool *spool, const char *pattern, uint32_t roles, net_route *routes);

/** Hash of an upload as both sides compute it, in steps. */
void net_upload_hash_init(msfl_hash *h);

#endif
