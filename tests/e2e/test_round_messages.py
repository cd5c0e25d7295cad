"""The samples in tests/samples/round against docs/formats/round-messages.md, read by nothing of the program: hashes from
hashlib, Ed25519 (RFC 8032), X25519 (RFC 7748) and XChaCha20-Poly1305 in Python integers. Signatures, hashes, chains and
numbers must all fit together, and a sum that is delivered to hospitals opens, with one hospital's key, to its totals."""
import hashlib
import os
import struct
import sys
import unittest

sys.path.insert(0, os.path.join(os.environ.get("MSFL_SOURCE", "."), "tests", "kat"))
import packed_reference as packed
from reference import x25519

SAMPLES = os.path.join(os.environ.get("MSFL_SOURCE", "."), "tests", "samples", "round")

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(p, q):
    """Extended coordinates (X : Y : Z : T), RFC 8032, section 5.1.4."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(k, point):
    result = (0, 1, 1, 0)
    while k:
        if k & 1:
            result = add(result, point)
        point = add(point, point)
        k >>= 1
    return result


def same(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def decode(raw):
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - xx) % P == 0
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


BASE = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def verifies(public, message, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % L
    return s < L and same(times(s, BASE), add(decode(r), times(k, decode(public))))


def chacha_rounds(state):
    x, m = list(state), 0xFFFFFFFF

    def quarter(a, b, c, d):
        for p, q, r, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[p] = x[p] + x[q] & m
            v = x[r] ^ x[p]
            x[r] = (v << n | v >> 32 - n) & m

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return x


SIGMA = struct.unpack("<4I", b"expand 32-byte k")


def unseal(key, associated, sealed):
    """XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with the nonce zero; None if the tag does not fit."""
    words = struct.unpack("<8I", key)
    x = chacha_rounds([*SIGMA, *words, 0, 0, 0, 0])
    words = x[:4] + x[12:]

    def block(counter):
        state = [*SIGMA, *words, counter, 0, 0, 0]
        return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, chacha_rounds(state))))

    text, tag, one_time = sealed[:-16], sealed[-16:], block(0)
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    pad = lambda raw: raw + bytes(-len(raw) % 16)
    data, acc = pad(associated) + pad(text) + struct.pack("<QQ", len(associated), len(text)), 0
    for i in range(0, len(data), 16):
        acc = (acc + int.from_bytes(data[i : i + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    if (acc + int.from_bytes(one_time[16:32], "little") & (1 << 128) - 1).to_bytes(16, "little") != tag:
        return None
    return bytes(a ^ b for i in range(0, len(text), 64) for a, b in zip(text[i : i + 64], block(1 + i // 64)))


def field(raw):
    return struct.pack("<Q", len(raw)) + raw


def H(label, *parts):
    return hashlib.blake2b(field(label.encode()) + b"".join(parts), digest_size=32).digest()


def u64(v):
    return struct.pack("<Q", v)


def sample(kind, name):
    with open(os.path.join(SAMPLES, f"{kind}-{name}-v1.bin"), "rb") as f:
        return f.read()


def message(name, kind, of="message"):
    raw = sample(of, name)
    assert raw[:4] == b"MSRM" and struct.unpack("<II", raw[4:12]) == (1, kind)
    return struct.unpack("<I", raw[12:16])[0], raw[16:48], raw[48:]


class Roster:
    def __init__(self, raw):
        self.raw = raw
        assert raw[:4] == b"MSRO"
        (version, self.epoch, self.custody, self.clients, parties, self.k, self.t, self.f) = struct.unpack("<IQIIIIII", raw[4:40])
        assert version == 1 and 2 * self.t > self.k + self.f and self.t > self.f
        self.coordinator = raw[40:72]
        self.parties = [raw[104 + 64 * i : 168 + 64 * i] for i in range(parties)]
        at = 104 + 64 * parties
        self.members = list(struct.unpack(f"<{self.k}I", raw[at : at + 4 * self.k]))
        assert len(raw) == at + 4 * self.k + 64
        self.hash = H("msfl.roster.v1", raw[:-64])
        self.signature = raw[-64:]
        self.each = 108 + 32 * self.k


ROSTER = Roster(sample("file", "roster"))
ANNOUNCEMENT, SIGNED = 356, 420


def round_id(announce):
    return H("msfl.round.v2", announce[:ANNOUNCEMENT])


def statement_digest(rid, s):
    return H("msfl.round.statement.v1", rid, ROSTER.hash, field(s[:-64]))


def cohort_hash(rid, statements):
    return H("msfl.round.cohort.v1", rid, u64(len(statements)), *(statement_digest(rid, s) for s in statements))


def check_announce(test, announce):
    rid = round_id(announce)
    test.assertTrue(verifies(ROSTER.coordinator, H("msfl.round.announce.v1", rid), announce[ANNOUNCEMENT:SIGNED]))
    test.assertEqual(announce[104:136], ROSTER.hash)
    return rid


def statements_of(raw):
    n = struct.unpack("<I", raw[:4])[0]
    return [raw[4 + i * ROSTER.each : 4 + (i + 1) * ROSTER.each] for i in range(n)], raw[4 + n * ROSTER.each :]


def check_answer(test, rid, member, body, receivers=1):
    head = 68 + 32 * receivers
    digest = H("msfl.round.answer.v1", rid, u64(member), field(body[:head]))
    test.assertTrue(verifies(ROSTER.parties[member][:32], digest, body[head : head + 64]))
    return head + 64


SHARE_P, N = 786433, 1024


def sealed_head(test, rid, member, body, cohort):
    """The signed part of an answer to hospitals: 164 bytes and a signature."""
    digest = H("msfl.round.sealed-answer.v1", rid, u64(member), field(body[:164]))
    test.assertTrue(verifies(ROSTER.parties[member][:32], digest, body[164:228]))
    test.assertEqual(body[:32], cohort)
    test.assertEqual(struct.unpack("<I", body[64:68])[0], ROSTER.clients)
    return body[:228]


def open_answer(test, rid, cohort, member, head, sealed_sum, wrap, client, secret):
    """The member's summed shares, as hospital `client` opens them."""
    test.assertEqual(H("msfl.round.slice.v1", sealed_sum), head[68:100])
    context = rid + cohort + struct.pack("<II", member, client)
    own = ROSTER.parties[client][32:64]
    key = H("msfl.round.answer-wrap.v1", x25519(secret, head[32:64]), head[32:64], own, field(context))
    content = unseal(key, context, wrap)
    test.assertEqual(H("msfl.round.answer-commit.v1", content, rid, cohort, u64(member)), head[100:132])
    bits = int.from_bytes(unseal(content, context[:68], sealed_sum), "little")
    return [bits >> (20 * i) & (1 << 20) - 1 for i in range(N)]


def check_report(test, rid, cohort, report):
    client, fold, wrong = struct.unpack("<III", report[:12])
    digest = H("msfl.round.report.v1", rid, cohort, field(report[:44]))
    test.assertTrue(verifies(ROSTER.parties[client][:32], digest, report[44:]))
    test.assertIn(fold, (1, 2))
    test.assertEqual(wrong, 0)
    return client, report[12:44]


def votes_of(test, raw, rid, cohort):
    n = struct.unpack("<I", raw[:4])[0]
    test.assertGreaterEqual(n, ROSTER.t)
    for i in range(n):
        one = raw[4 + 68 * i : 72 + 68 * i]
        voter = struct.unpack("<I", one[:4])[0]
        test.assertTrue(verifies(ROSTER.parties[voter][:32], H("msfl.round.vote.v1", rid, cohort), one[4:]))
    return raw[4 + 68 * n :]


class Delivered(unittest.TestCase):
    """A round whose sum is delivered to the hospitals, as hospital 1 sees it."""

    def test_ciphers_here_are_those_of_the_rfcs(self):
        nine = (9).to_bytes(32, "little")
        self.assertEqual(x25519(nine, nine).hex(), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
        state = [*SIGMA, *struct.unpack("<8I", bytes(range(32))), 1, 0x09000000, 0x4A000000, 0]  # RFC 8439, 2.3.2
        self.assertEqual(chacha_rounds(state)[0], 0x837778ab)

    def test_delivery_opens(self):
        _, rid, body = message("deliver", 10, "sealed-message")
        self.assertEqual(check_announce(self, body), rid)
        self.assertEqual(struct.unpack("<I", body[352:356])[0], 2)
        statements, rest = statements_of(body[SIGNED:])
        cohort = cohort_hash(rid, statements)
        rest = votes_of(self, rest, rid, cohort)
        n, rest = struct.unpack("<I", rest[:4])[0], rest[4:]
        self.assertEqual(n, 3)
        heads = []
        for _ in range(n):
            member = struct.unpack("<I", rest[:4])[0]
            heads.append((member, sealed_head(self, rid, member, rest[4:232], cohort)))
            rest = rest[232:]
        folded, signature, rest = rest[:32], rest[32:96], rest[96:]
        self.assertTrue(verifies(ROSTER.coordinator, H("msfl.round.delivery.v1", rid, cohort, folded), signature))
        chunks = [sample("sealed-file", f"folded{j}") for j in range(2)]
        total = u64(sum(map(len, chunks)))
        self.assertEqual(H("msfl.round.folded.v1", rid, cohort, total, *chunks), folded)
        # Hospital 1's key is that of its seed in the tests.
        seed, size = bytes([1]) + bytes(31), 20 * N // 8 + 16
        secret = H("msfl.identity.box.v1", seed)
        self.assertEqual(len(rest), n * (size + 48))
        shares = {}
        for member, head in heads:
            shares[ROSTER.members.index(member) + 1] = open_answer(
                self, rid, cohort, member, head, rest[:size], rest[size : size + 48], 1, secret)
            rest = rest[size + 48 :]
        # Any t of them give the key sum.
        key_sum = None
        for a, b in ((1, 2), (1, 3), (2, 3)):
            la, lb = b * pow(b - a, -1, SHARE_P), a * pow(a - b, -1, SHARE_P)
            joined = [(x * la + y * lb) % SHARE_P for x, y in zip(shares[a], shares[b])]
            joined = [x - SHARE_P if x > SHARE_P // 2 else x for x in joined]
            self.assertTrue(key_sum is None or key_sum == joined)
            key_sum = joined
        self.assertLessEqual(max(map(abs, key_sum)), 41 * 3)
        # And that opens the folded sum.
        n_values = struct.unpack("<Q", body[144:152])[0]
        degree, n_primes = struct.unpack("<II", body[152:160])
        primes = struct.unpack("<16Q", body[160:288])[:n_primes]
        _, clients, value_bits, slot_bits, slots, log_t = struct.unpack("<6I", body[288:312])
        params = {"ring_degree": degree, "primes": list(primes), "slot_bits": slot_bits, "slots_per_coefficient": slots,
                  "log_t": log_t, "value_bits": value_bits}
        self.assertEqual((degree, clients), (N, 3))
        totals = []
        for j, chunk in enumerate(chunks):
            n_slots = packed.chunk_slots(params, n_values, j)
            planes = packed.read_chunk(params, chunk, -(-n_slots // slots))
            opened, _ = packed.open_chunk(params, rid, j, planes, key_sum, 3, n_slots)
            totals += opened
        self.assertEqual(len(totals), n_values)
        self.assertEqual(totals[:20], [9] * 20)  # the largest values there are, of three hospitals
        # What hospitals compare is this, under a key that nobody has who does not know the key sum.
        sums = H("msfl.round.result.v1", u64(n_values), *map(u64, totals))
        key = H("msfl.round.sum-key.v1", rid, cohort, *(struct.pack("<i", s) for s in key_sum))
        made = b"model" + bytes(27)
        result = hashlib.blake2b(field(b"msfl.round.sealed-result.v1") + sums + made, key=key, digest_size=32).digest()
        sender, _, report = message("report", 11, "sealed-message")
        self.assertEqual((sender, len(report)), (1, 108))
        self.assertEqual(check_report(self, rid, cohort, report), (1, result))

    def test_whole_answer(self):
        member, rid, body = message("answer", 8, "sealed-message")
        head = sealed_head(self, rid, member, body, body[:32])
        sealed, wraps = body[228 : 228 + 2576], body[228 + 2576 :]
        self.assertEqual(H("msfl.round.slice.v1", sealed), head[68:100])
        self.assertEqual((len(wraps), H("msfl.round.wraps.v1", wraps)), (48 * 3, head[132:164]))
        seen = []
        for client in range(3):
            secret = H("msfl.identity.box.v1", bytes([client]) + bytes(31))
            wrap = wraps[48 * client : 48 * client + 48]
            seen.append(open_answer(self, rid, body[:32], member, head, sealed, wrap, client, secret))
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(seen[0], seen[2])
        # The coordinator's key opens no wrap.
        coordinator = H("msfl.identity.box.v1", bytes([100]) + bytes(31))
        context = rid + body[:32] + struct.pack("<II", member, 0)
        for own in (ROSTER.parties[0][32:64], ROSTER.raw[72:104]):
            key = H("msfl.round.answer-wrap.v1", x25519(coordinator, head[32:64]), head[32:64], own, field(context))
            self.assertIsNone(unseal(key, context, wraps[:48]))

    def test_transcript_and_journal(self):
        raw = sample("sealed-file", "transcript")
        self.assertEqual(struct.unpack("<II", raw[4:12]), (2, 1))
        digest = H("msfl.round.transcript.v1", raw[:-64])
        self.assertTrue(verifies(ROSTER.coordinator, digest, raw[-64:]))
        rid = check_announce(self, raw[12:])
        statements, rest = statements_of(raw[12 + SIGNED :])
        cohort = cohort_hash(rid, statements)
        rest = votes_of(self, rest, rid, cohort)
        n, rest = struct.unpack("<I", rest[:4])[0], rest[4:]
        for _ in range(n):
            member = struct.unpack("<I", rest[:4])[0]
            sealed_head(self, rid, member, rest[4:232], cohort)
            rest = rest[232:]
        n, rest = struct.unpack("<I", rest[:4])[0], rest[4:]
        results = [check_report(self, rid, cohort, rest[108 * i : 108 * i + 108]) for i in range(n)]
        rest = rest[108 * n :]
        self.assertEqual(results, [(i, rest[:32]) for i in range(3)])
        self.assertEqual(len(rest), 32 + 4 + 64)
        history = sample("sealed-journal", "history")
        self.assertEqual(history[44:], u64(1) + digest + rest[:32])
        reported = sample("sealed-journal", "reported")
        _, _, report = message("report", 11, "sealed-message")
        self.assertEqual(reported[44:], raw[12 : 12 + SIGNED] + report)
        answer = sample("sealed-journal", "answer")
        self.assertEqual(len(answer), 44 + 4 + 228 + 2576 + 48 * 3)


class Messages(unittest.TestCase):
    def test_ed25519_here_is_that_of_the_rfc(self):
        public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
        signature = bytes.fromhex(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")
        self.assertTrue(verifies(public, b"", signature))
        self.assertFalse(verifies(public, b"x", signature))

    def test_announcement(self):
        sender, rid, body = message("announce", 1)
        self.assertEqual(sender, 0xFFFFFFFF)
        self.assertEqual(check_announce(self, body), rid)
        number, n_clients, min_cohort = struct.unpack("<Q", body[32:40])[0], *struct.unpack("<II", body[136:144])
        self.assertEqual((number, n_clients, min_cohort), (1, 3, 3))

    def test_upload_and_receipt(self):
        client, rid, body = message("upload", 4)
        s, bundles = body[: ROSTER.each], body[ROSTER.each :]
        self.assertEqual(struct.unpack("<I", s[:4])[0], client)
        self.assertTrue(verifies(ROSTER.parties[client][:32], statement_digest(rid, s), s[-64:]))
        size = len(bundles) // ROSTER.k
        self.assertEqual(size, 32 + 1024 * 20 // 8 + 16)
        for i in range(ROSTER.k):
            self.assertEqual(H("msfl.round.bundle.v1", bundles[i * size : (i + 1) * size]), s[44 + 32 * i : 76 + 32 * i])
        _, _, reply = message("next", 2)
        receipt = H("msfl.round.receipt.v1", rid, u64(client), statement_digest(rid, s))
        self.assertEqual(struct.unpack("<I", reply[8:12])[0], 1)
        self.assertTrue(verifies(ROSTER.coordinator, receipt, reply[12:]))

    def test_proposal_vote_release_answer(self):
        _, rid, body = message("propose", 5)
        self.assertEqual(check_announce(self, body), rid)
        statements, rest = statements_of(body[SIGNED:])
        self.assertEqual(rest, b"")
        for s in statements:
            client = struct.unpack("<I", s[:4])[0]
            self.assertTrue(verifies(ROSTER.parties[client][:32], statement_digest(rid, s), s[-64:]))
        cohort = cohort_hash(rid, statements)
        member, _, vote = message("vote", 6)
        self.assertEqual(vote[:32], cohort)
        self.assertTrue(verifies(ROSTER.parties[member][:32], H("msfl.round.vote.v1", rid, cohort), vote[32:]))
        _, _, release = message("release", 7)
        self.assertEqual(release[: len(body)], body)
        votes = release[len(body) :]
        self.assertEqual(struct.unpack("<I", votes[:4])[0], ROSTER.t)
        for i in range(ROSTER.t):
            one = votes[4 + 68 * i : 72 + 68 * i]
            voter = struct.unpack("<I", one[:4])[0]
            self.assertTrue(verifies(ROSTER.parties[voter][:32], H("msfl.round.vote.v1", rid, cohort), one[4:]))
        bundles, size = votes[4 + 68 * ROSTER.t :], 32 + 2560 + 16
        place = ROSTER.members.index(member)
        for i, s in enumerate(statements):
            bundle = bundles[i * size : (i + 1) * size]
            self.assertEqual(H("msfl.round.bundle.v1", bundle), s[44 + 32 * place : 76 + 32 * place])
        sender, _, answer = message("answer", 8)
        self.assertEqual((sender, answer[:32]), (member, cohort))
        at = check_answer(self, rid, member, answer)
        self.assertEqual(H("msfl.round.slice.v1", answer[at:]), answer[68:100])

    def test_transcript(self):
        raw = sample("file", "transcript")
        self.assertEqual(raw[:4], b"MSTR")
        version, outcome = struct.unpack("<II", raw[4:12])
        self.assertEqual((version, outcome), (1, 1))
        digest = H("msfl.round.transcript.v1", raw[:-64])
        self.assertTrue(verifies(ROSTER.coordinator, digest, raw[-64:]))
        rid = check_announce(self, raw[12:])
        statements, rest = statements_of(raw[12 + SIGNED :])
        cohort = cohort_hash(rid, statements)
        n, rest = struct.unpack("<I", rest[:4])[0], rest[4:]
        self.assertGreaterEqual(n, ROSTER.t)
        for i in range(n):
            voter = struct.unpack("<I", rest[:4])[0]
            self.assertTrue(verifies(ROSTER.parties[voter][:32], H("msfl.round.vote.v1", rid, cohort), rest[4:68]))
            rest = rest[68:]
        n, rest = struct.unpack("<I", rest[:4])[0], rest[4:]
        self.assertGreaterEqual(n, ROSTER.t)
        for i in range(n):
            member = struct.unpack("<I", rest[:4])[0]
            self.assertEqual(rest[4:36], cohort)
            rest = rest[4 + check_answer(self, rid, member, rest[4:]) :]
        self.assertEqual(len(rest), 32 + 4 + 64)
        history = sample("journal", "history")
        self.assertEqual(history[44:52] + history[52:84], u64(1) + digest)


if __name__ == "__main__":
    unittest.main()
