// A rollout of the image that this start has made; at any other start nothing.
// msg.payload: the fields of POST /firmware/rollouts but for the image.
const image = env.get('FIELDLOOM_SIMULATED_IMAGE');
if (image) node.send({ rollout: { action: 'create', image_id: image, ...msg.payload } });
