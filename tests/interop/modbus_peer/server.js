"use strict";
// Serves input registers (address × 3 + unit) and float32 at 0x0048 as an SDM630 has them,
// through modbus-serial. Each further port passes the same answers on with one fault.
const net = require("net");
const { ServerTCP } = require("modbus-serial");

const energy = Buffer.alloc(4);
energy.writeFloatBE(12345.5);

function word(address, unit) {
  if (address === 0x48) return energy.readUInt16BE(0);
  if (address === 0x49) return energy.readUInt16BE(2);
  if (address === 0x4a || address === 0x4b) return 0;
  return (address * 3 + unit) & 0xffff;
}

const held = new Map();
const vector = {
  getInputRegister: (address, unit, callback) => callback(null, word(address, unit)),
  getHoldingRegister: (address, unit, callback) => callback(null, held.get(address) || 0),
  setRegister: (address, value, unit, callback) => {
    held.set(address, value);
    callback(null);
  },
};

const faults = {
  unit: (frame) => { frame[6] ^= 1; return frame; },
  transaction: (frame) => { frame[1] ^= 1; return frame; },
  function: (frame) => { frame[7] ^= 1; return frame; },
  count: (frame) => { frame[8] -= 2; return frame; },
  protocol: (frame) => { frame[2] = 1; return frame; },
  shorter: (frame) => {
    const cut = frame.subarray(0, frame.length - 2);
    cut.writeUInt16BE(cut.length - 6, 4);
    return cut;
  },
  truncated: (frame) => frame.subarray(0, frame.length - 2),
};

const server = new ServerTCP(vector, { host: "127.0.0.1", port: 0, unitID: 7 });
server.on("socketError", () => {});
const ports = {};

function announce() {
  if (Object.keys(ports).length === Object.keys(faults).length + 1) {
    process.stdout.write(JSON.stringify(ports) + "\n");
  }
}

server._server.on("listening", () => {
  const right = server._server.address().port;
  ports.right = right;
  for (const [name, fault] of Object.entries(faults)) {
    const front = net.createServer((client) => {
      const back = net.connect(right, "127.0.0.1");
      client.pipe(back);
      back.on("data", (frame) => client.write(fault(Buffer.from(frame))));
      for (const end of [client, back]) {
        end.on("error", () => {});
        end.on("close", () => { client.destroy(); back.destroy(); });
      }
    });
    front.listen(0, "127.0.0.1", () => { ports[name] = front.address().port; announce(); });
  }
});
process.stdin.on("end", () => process.exit(0)).resume();
