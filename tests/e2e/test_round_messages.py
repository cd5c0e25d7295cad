"""The samples in tests/samples/round against docs/formats/round-messages.md, read by nothing of the program: hashes from
hashlib, Ed25519 (RFC 8032) in Python integers. Signatures, hashes, chains and numbers must all fit together."""
import hashlib
import os
import struct
import unittest

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


def field(raw):
    return struct.pack("<Q", len(raw)) + raw


def H(label, *parts):
    return hashlib.blake2b(field(label.encode()) + b"".join(parts), digest_size=32).digest()


def u64(v):
    return struct.pack("<Q", v)


def sample(kind, name):
    with open(os.path.join(SAMPLES, f"{kind}-{name}-v1.bin"), "rb") as f:
        return f.read()


def message(name, kind):
    raw = sample("message", name)
    assert raw[:4] == b"MSRM" and struct.unpack("<II", raw[4:12]) == (1, kind)
    return struct.unpack("<I", raw[12:16])[0], raw[16:48], raw[48:]


class Roster:
    def __init__(self, raw):
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
