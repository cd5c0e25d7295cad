/* One upload on disk: FOLDER/PEER/KEY.part, appended to and hashed. Its lock is the caller's to take. */
#ifndef MSFL_NET_UPLOAD_H
#define MSFL_NET_UPLOAD_H

#include "net/spool.h"

#include <pthread.h>

/* An upload that was touched since the start. What is on disk counts; the hash state is a memory of it. */
typedef struct net_upload {
    char peer[PKI_NAME_MAX + 1], key[NET_KEY_MAX + 1];
    char *part, *whole;
    int fd;
    uint64_t offset;  /**< bytes that are written, in order */
    uint64_t writer;  /**< number of the request that may write; an older one has lost its turn */
    uint64_t used;    /**< for throwing out the one that was not used for longest */
    uint32_t holders; /**< requests that point here */
    pthread_mutex_t lock;
    msfl_hash hash;
} net_upload;

/** Nothing on disk is touched yet. */
msfl_status net_upload_new(const char *folder, const char *peer, const char *key, net_upload **out) MSFL_NODISCARD;
void net_upload_free(net_upload *upload);

/** Open its file, if there is one, and hash what it holds; `create`: make it, unless the party has `unfinished_max`
 *  others. */
msfl_status net_upload_open(net_upload *upload, const char *folder, bool create,
                            uint32_t unfinished_max) MSFL_NODISCARD;
/** Whether it has been completed, and its length then. */
bool net_upload_is_complete(const net_upload *upload, uint64_t *length);
/** All of it, or the file is as before. */
msfl_status net_upload_append(net_upload *upload, const uint8_t *bytes, size_t length) MSFL_NODISCARD;
/** Empty the file: from the beginning. */
msfl_status net_upload_restart(net_upload *upload) MSFL_NODISCARD;
/** Close the file and forget what is known of it. */
void net_upload_forget(net_upload *upload);

#endif
