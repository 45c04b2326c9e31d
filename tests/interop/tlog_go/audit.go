// Audits an exported ledger with the packages of Go's checksum database, which know nothing of
// Khazri: golang.org/x/mod/sumdb/note and tlog. Prints "ok ENTRIES ROOT OLDER", or why not.
//
//	audit DIR LOGKEY [WITNESSKEY...]
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// witness verifies C2SP cosignatures: the package knows the notes, not this kind of signature.
type witness struct {
	name   string
	hash   uint32
	public ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.hash }
func (w witness) Verify(message, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(signature))
	return ed25519.Verify(w.public, append([]byte(head), message...), signature[8:])
}

func witnessOf(vkey string) (witness, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return witness{}, fmt.Errorf("%q is no verifier key", vkey)
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != 4 {
		return witness{}, fmt.Errorf("%q is no cosignature key", vkey)
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), raw...))
	hash := binary.BigEndian.Uint32(sum[:])
	if fmt.Sprintf("%08x", hash) != parts[1] {
		return witness{}, fmt.Errorf("%q has another ID", vkey)
	}
	return witness{parts[0], hash, raw[1:]}, nil
}

// folder gives the tiles of an export: C2SP leaves the height out of their paths.
type folder string

func (f folder) Height() int                                { return height }
func (f folder) SaveTiles(tiles []tlog.Tile, data [][]byte) {}
func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(f), path))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (f folder) entries(number int64, width int) ([][]byte, error) {
	tile := tlog.Tile{H: height, L: 0, N: number, W: width}
	path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/0/", height), "tile/entries/", 1)
	data, err := os.ReadFile(filepath.Join(string(f), path))
	if err != nil {
		return nil, err
	}
	var found [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("%s is cut off", path)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		found, data = append(found, data[2:end]), data[end:]
	}
	if len(found) != width {
		return nil, fmt.Errorf("%s has %d entries, not %d", path, len(found), width)
	}
	return found, nil
}

// checkpoint returns the tree of a note that every one of the verifiers signed.
func (f folder) checkpoint(name string, verifiers ...note.Verifier) (tlog.Tree, error) {
	data, err := os.ReadFile(filepath.Join(string(f), name))
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(data, note.VerifierList(verifiers...))
	if err != nil {
		return tlog.Tree{}, err
	}
	for _, one := range verifiers {
		signed := false
		for _, signature := range opened.Sigs {
			signed = signed || signature.Name == one.Name() && signature.Hash == one.KeyHash()
		}
		if !signed {
			return tlog.Tree{}, fmt.Errorf("%s: %s did not sign", name, one.Name())
		}
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifiers[0].Name() {
		return tlog.Tree{}, fmt.Errorf("%s is no checkpoint of %s", name, verifiers[0].Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func (f folder) checkEntries(tree tlog.Tree, hashes tlog.HashReader) error {
	for first := int64(0); first < tree.N; first += 1 << height {
		width := 1 << height
		if tree.N-first < int64(width) {
			width = int(tree.N - first)
		}
		entries, err := f.entries(first>>height, width)
		if err != nil {
			return err
		}
		var at []int64
		for n := range entries {
			at = append(at, tlog.StoredHashIndex(0, first+int64(n)))
		}
		stored, err := hashes.ReadHashes(at)
		if err != nil {
			return err
		}
		for n, entry := range entries {
			own := tlog.RecordHash(entry)
			if !bytes.Equal(own[:], stored[n][:]) {
				return fmt.Errorf("entry %d is not in the tree", first+int64(n))
			}
		}
	}
	return nil
}

func audit(dir, logKey string, witnessKeys []string) error {
	f := folder(dir)
	log, err := note.NewVerifier(logKey)
	if err != nil {
		return err
	}
	verifiers := []note.Verifier{log}
	for _, key := range witnessKeys {
		one, err := witnessOf(key)
		if err != nil {
			return err
		}
		verifiers = append(verifiers, one)
	}
	tree, err := f.checkpoint("checkpoint", verifiers...)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, f)
	if err := f.checkEntries(tree, hashes); err != nil {
		return err
	}
	older, _ := filepath.Glob(filepath.Join(dir, "checkpoints", "*"))
	sort.Strings(older)
	for _, path := range older {
		name, _ := filepath.Rel(dir, path)
		before, err := f.checkpoint(name, log)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(tree.N, before.N, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, before.N, before.Hash); err != nil {
			return fmt.Errorf("%s: %v", name, err)
		}
	}
	fmt.Printf("ok %d %s %d\n", tree.N, tree.Hash, len(older))
	return nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "audit DIR LOGKEY [WITNESSKEY...]")
		os.Exit(2)
	}
	if err := audit(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}
