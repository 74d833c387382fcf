// Places orders by proto-loader, once from the sources and once from the image, and says how it went as JSON.
const { readFileSync } = require("node:fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const { BACKROOM_ADDRESS, BACKROOM_TOKEN, BACKROOM_PROTO, BACKROOM_IMAGE } = process.env;
const options = { keepCase: true, longs: String, enums: String, defaults: true };
const metadata = new grpc.Metadata();
metadata.set("authorization", `Bearer ${BACKROOM_TOKEN}`);

function call(client, method, request) {
  return new Promise((resolve) => {
    client[method](request, metadata, (error, answer) =>
      resolve(error ? { code: grpc.status[error.code], message: error.details } : answer),
    );
  });
}

async function placed(definition, reference) {
  const { OrderService } = grpc.loadPackageDefinition(definition).backroom.commerce.v1;
  const client = new OrderService(BACKROOM_ADDRESS, grpc.credentials.createInsecure());
  const { order } = await call(client, "PlaceOrder", { reference, lines: [{ sku: "TEA", quantity: 2 }] });
  const refused = await call(client, "GetOrder", { order_id: "42" });
  client.close();
  return { reference: order.reference, state: order.state, units: order.total.units, refused };
}

async function main() {
  const sources = loader.loadSync("backroom/commerce/v1/order_service.proto", {
    ...options,
    includeDirs: [BACKROOM_PROTO, `${BACKROOM_PROTO}/gen/third_party`],
  });
  const image = loader.loadFileDescriptorSetFromBuffer(readFileSync(BACKROOM_IMAGE), options);
  console.log(JSON.stringify([await placed(sources, "sources"), await placed(image, "image")]));
}

main();
